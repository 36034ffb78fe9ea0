# lathe: build, test, install. `make help` lists the targets.
#
# Sources are found by wildcard: a new file needs no change here. Objects lie out of tree in
# build/obj (build/obj-clang with CC=clang, build/obj-gcc-address with SAN=address, ...). Their
# flags are recorded in a .flags file, so that changed flags rebuild, and nothing else does.

ifeq ($(origin CC),default)
CC := gcc
endif
AR          ?= ar
STRIP       ?= strip
LLVM_CONFIG ?= llvm-config-19
OPT         ?= -O2
SAN         ?=
PREFIX      ?= /usr/local
DESTDIR     ?=
JOBS        ?= $(shell nproc)

.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# ---- where things go ----------------------------------------------------------------

empty   :=
space   := $(empty) $(empty)
VARIANT := $(if $(filter-out gcc,$(notdir $(CC)))$(SAN),-$(notdir $(firstword $(CC))))
VARIANT := $(subst $(space),,$(VARIANT)$(if $(SAN),-$(SAN)))
OBJ     := build/obj$(VARIANT)
OUT     := build$(patsubst -%,/%,$(VARIANT))
GEN     := build/gen
LIB     := $(OUT)/lib
BIN     := $(OUT)/bin
TST     := $(OUT)/tests

# ---- flags --------------------------------------------------------------------------

LLVM_INCLUDE := $(shell $(LLVM_CONFIG) --includedir 2>/dev/null)
LLVM_LIBS    := $(shell $(LLVM_CONFIG) --link-shared --ldflags --libs 2>/dev/null)
SAN_FLAGS    := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
# A sanitizer's own code makes gcc warn of what cannot happen: then warnings stay warnings.
WARNINGS     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
                $(if $(SAN),,-Werror)
COMMON       := -std=c17 -D_GNU_SOURCE -g -fPIC -fvisibility=hidden $(WARNINGS) $(SAN_FLAGS)
INCLUDES     := -I. -Iinclude $(if $(LLVM_INCLUDE),-isystem $(LLVM_INCLUDE))
CFLAGS       ?=
ALL_CFLAGS   := $(COMMON) $(OPT) $(INCLUDES) $(CFLAGS)
# The runtime is small before it is fast: what is hot is generated code, and the kernels here.
RT_CFLAGS     = $(COMMON) $(if $(filter runtime/kernels/%,$<),$(OPT),-Os) -ffunction-sections \
                -fdata-sections $(INCLUDES) $(CFLAGS)
LIBS         := -ldl -lm -pthread
RT_LIBS      := -Wl,--as-needed $(LIBS)
COMPILER_LIBS := -Wl,--as-needed $(LLVM_LIBS) $(RT_LIBS)
TEST_LIBS    := -lcheck -lsubunit -lrt -Wl,--as-needed -lcjson $(COMPILER_LIBS)
VERSION      := $(shell sed -n 's/^\#define LATHE_VERSION "\(.*\)".*/\1/p' include/lathe/runtime.h)

# ---- sources ------------------------------------------------------------------------

RULES       := $(wildcard passes/*.rules)
RULES_C     := $(patsubst passes/%.rules,$(GEN)/%_rules.c,$(RULES))
PAGES       := $(wildcard tools/*.html tools/*.css tools/*.js)
PAGES_C     := $(foreach page,$(PAGES),$(GEN)/$(subst .,_,$(notdir $(page))).c)
BASE_SRC    := $(wildcard runtime/base/*.c)
LATHE_SRC   := $(BASE_SRC) $(wildcard ir/*.c passes/*.c codegen/*.c codegen/*/*.c frontends/*.c \
               frontends/*/*.c)
RT_SRC      := $(BASE_SRC) $(wildcard runtime/*.c runtime/kernels/*.c)
TOOL_MAINS  := $(wildcard tools/lathec.c tools/lathe_run.c tools/lathe_dump.c tools/lathe_bench.c)
TOOL_SRC    := $(filter-out $(TOOL_MAINS),$(wildcard tools/*.c))
TEST_MAINS  := $(wildcard tests/unit/test_*.c tests/diff/*.c tests/rules/*.c tests/golden/*.c)
TEST_SRC    := $(wildcard tests/*.c)
SUITE_SRC   := $(wildcard tests/conformance/*.c)
BENCH_SRC   := $(wildcard tests/bench/gpu/*.c)

LATHE_OBJ   := $(LATHE_SRC:%.c=$(OBJ)/%.o) $(RULES_C:$(GEN)/%.c=$(OBJ)/gen/%.o)
RT_OBJ      := $(RT_SRC:%.c=$(OBJ)/rt/%.o)
TOOL_OBJ    := $(TOOL_SRC:%.c=$(OBJ)/%.o) $(PAGES_C:$(GEN)/%.c=$(OBJ)/gen/%.o)
TEST_OBJ    := $(TEST_SRC:%.c=$(OBJ)/%.o)
SUITE_OBJ   := $(SUITE_SRC:%.c=$(OBJ)/%.o)
BENCH_OBJ   := $(BENCH_SRC:%.c=$(OBJ)/%.o)
MAIN_OBJ    := $(TOOL_MAINS:%.c=$(OBJ)/%.o) $(TEST_MAINS:%.c=$(OBJ)/%.o)
ALL_OBJ     := $(LATHE_OBJ) $(RT_OBJ) $(TOOL_OBJ) $(TEST_OBJ) $(SUITE_OBJ) $(BENCH_OBJ) \
               $(MAIN_OBJ)

LIBRARIES   := $(LIB)/liblathe.a $(LIB)/liblathe.so $(LIB)/liblathe_rt.a $(LIB)/liblathe_rt.so
TOOLS       := $(patsubst tools/%.c,$(BIN)/%,$(subst _,-,$(TOOL_MAINS)))
SUITE       := $(TST)/conformance
GPU_BENCH   := $(OUT)/bench-gpu/bench_gpu
TESTS       := $(patsubst %.c,$(TST)/%,$(notdir $(TEST_MAINS))) $(SUITE)

.PHONY: ops-page all objects tests setup check check-full check-gpu conformance conformance-gpu demo bench \
        bench-gpu deps-check lint format models install clean help need-llvm FORCE
all: $(LIBRARIES) $(TOOLS)
objects: $(ALL_OBJ)
tests: $(TESTS) $(GPU_BENCH)

# ---- objects ------------------------------------------------------------------------

need-llvm:
	@command -v $(LLVM_CONFIG) >/dev/null || \
	    { echo "error: $(LLVM_CONFIG) is missing; 'make setup' installs it" >&2; exit 1; }

# $(call keep,TEXT): the target holds TEXT, and its time changes only when TEXT does.
define keep
	@mkdir -p $(@D)
	@printf '%s\n' '$(1)' | cmp -s - $@ || printf '%s\n' '$(1)' >$@
endef

$(OBJ)/.flags: FORCE
	$(call keep,$(CC) $(ALL_CFLAGS) $(RT_CFLAGS))
$(OBJ)/.liblathe.list: FORCE
	$(call keep,$(LATHE_OBJ))
$(OBJ)/.liblathe_rt.list: FORCE
	$(call keep,$(RT_OBJ))
$(OBJ)/.tools.list: FORCE
	$(call keep,$(TOOL_OBJ))

# Written beside and renamed: two makes in one tree do not read each other's half-written objects.
define compile
	@mkdir -p $(@D)
	@echo "  CC      $<$(if $(filter $(OBJ)/rt/%,$@), (runtime))"
	@$(CC) $(1) -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@.$$$$ && mv $@.$$$$ $@
endef

$(OBJ)/%.o: %.c $(OBJ)/.flags | need-llvm
	$(call compile,$(ALL_CFLAGS))

$(OBJ)/rt/%.o: %.c $(OBJ)/.flags | need-llvm
	$(call compile,$(RT_CFLAGS))

$(OBJ)/gen/%.o: $(GEN)/%.c $(OBJ)/.flags | need-llvm
	$(call compile,$(ALL_CFLAGS))

# A text becomes the string lt_FILE_SUFFIX. A question mark could begin a trigraph.
define embed
	@mkdir -p $(@D)
	@echo "  GEN     $@"
	@awk -v name=lt_$(basename $(notdir $@)) \
	     'BEGIN { print "/* Made from $<. */"; print "extern const char " name "[];"; \
	              print "const char " name "[] =" } \
	      { gsub(/[\\"?]/, "\\\\&"); gsub(/\t/, "\\t"); print "    \"" $$0 "\\n\"" } \
	      END { print "    \"\";" }' $< >$@
endef
$(GEN)/%_rules.c: passes/%.rules
	$(embed)
$(GEN)/%_html.c: tools/%.html
	$(embed)
$(GEN)/%_css.c: tools/%.css
	$(embed)
$(GEN)/%_js.c: tools/%.js
	$(embed)
.SECONDARY: $(RULES_C) $(PAGES_C) $(ALL_OBJ)

-include $(ALL_OBJ:.o=.d)

# ---- libraries: both hold runtime/base, each compiled its own way -------------------

define archive
	@mkdir -p $(@D)
	@echo "  AR      $@"
	@$(AR) rcs $@.$$$$ $(filter %.o,$^) && mv $@.$$$$ $@
endef

$(LIB)/liblathe.a: $(LATHE_OBJ) $(OBJ)/.liblathe.list
	$(archive)
$(LIB)/liblathe_rt.a: $(RT_OBJ) $(OBJ)/.liblathe_rt.list
	$(archive)
$(OBJ)/tools.a: $(TOOL_OBJ) $(OBJ)/.tools.list
	$(archive)

# $(call share,NAME,VERSION SCRIPT,LIBRARIES): a shared library that exports what its map says. Code
# and constants share a segment: apart, padding would be a tenth of the runtime.
define share
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) -shared $(SAN_FLAGS) -Wl,-soname,$(1).so -Wl,-z,relro,-z,now,-z,noseparate-code -Wl,--gc-sections \
	    $(if $(SAN),,-Wl,-z,defs) $(if $(2),-Wl$(comma)--version-script=$(2)) \
	    $(filter %.o,$^) $(3) -o $@
endef
comma := ,

$(LIB)/liblathe.so: $(LATHE_OBJ) $(OBJ)/.liblathe.list $(wildcard codegen/lathe.map)
	$(call share,liblathe,$(wildcard codegen/lathe.map),$(COMPILER_LIBS))
$(LIB)/liblathe_rt.so: $(RT_OBJ) $(OBJ)/.liblathe_rt.list $(wildcard runtime/lathe_rt.map)
	$(call share,liblathe_rt,$(wildcard runtime/lathe_rt.map),$(RT_LIBS))
	@$(STRIP) --strip-unneeded $@

# ---- programs -----------------------------------------------------------------------

ARCHIVES := $(LIB)/liblathe.a $(LIB)/liblathe_rt.a

define link
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(SAN_FLAGS) $(filter %.o,$^) $(filter %.a,$^) $(1) -o $@.$$$$ && mv $@.$$$$ $@
endef

define tool_rule
$(BIN)/$(subst _,-,$(notdir $(1:.c=))): $(OBJ)/$(1:.c=.o) $(OBJ)/tools.a $(ARCHIVES)
	$$(call link,$$(COMPILER_LIBS))
endef
$(foreach source,$(TOOL_MAINS),$(eval $(call tool_rule,$(source))))

define test_rule
$(TST)/$(notdir $(1:.c=)): $(OBJ)/$(1:.c=.o) $(TEST_OBJ) $(OBJ)/tools.a $(ARCHIVES)
	$$(call link,$$(TEST_LIBS))
endef
$(foreach source,$(TEST_MAINS),$(eval $(call test_rule,$(source))))

$(SUITE): $(SUITE_OBJ) $(TEST_OBJ) $(OBJ)/tools.a $(ARCHIVES)
	$(call link,$(TEST_LIBS))
$(GPU_BENCH): $(BENCH_OBJ) $(OBJ)/tools.a $(ARCHIVES)
	$(call link,$(COMPILER_LIBS))

# ---- checks -------------------------------------------------------------------------

PACKAGES := gcc g++ llvm-19-dev lld-19 libffi-dev check libsubunit-dev libcjson-dev \
            graphviz pkg-config zlib1g-dev libzstd-dev python3-venv clang universal-ctags
PARALLEL  = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

setup:
	@missing=; for package in $(PACKAGES); do \
	    dpkg -s $$package 2>/dev/null | grep -q '^Status: install ok installed' || \
	        missing="$$missing $$package"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	echo "setup: apt-get installs$$missing"; \
	if [ "$$(id -u)" = 0 ]; then root=; else root=sudo; fi; \
	$$root apt-get update -q && \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing

REAL_MODELS := magika rapidocr_det rapidocr_cls rapidocr_rec silero_vad silero_vad_op15 basic_pitch \
               minilm_int8
MADE_MODELS := resnet50 mobilenet_v2 bert_base unet lstm mlp gemm_1024 mlp_f16 mobilenet_v2_f16 \
               bert_tiny_f16
GPU_MODELS  := resnet50_f16 bert_base_f16 gpt2_prefill64 gpt2_step64
models:
	@if [ -f tests/models/setup.sh ]; then \
	    bash tests/models/setup.sh && \
	    build/venv/bin/python tests/models/make_models.py build/models $(MADE_MODELS) && \
	    build/venv/bin/python tests/models/expected.py build/models $(REAL_MODELS) $(MADE_MODELS); \
	fi

# Steps in order, whatever -j says: what setup installs is looked up when the next make starts.
check:
	@$(MAKE) setup
	@$(MAKE) $(PARALLEL) all tests
	@$(MAKE) $(PARALLEL) CC=clang OPT=-O0 objects
	@$(MAKE) lint
	@$(MAKE) models
	@bash tests/conformance/setup.sh
	@tests/run.sh $(TESTS)

check-full:
	@FULL=1 LIMIT=1800 CK_TIMEOUT_MULTIPLIER=4 $(MAKE) check
	@CHECKED=1 tests/cli/cuda.sh mlp magika mobilenet_v2 silero_vad
	@$(MAKE) conformance

check-gpu: all
	@nvidia-smi -L 2>/dev/null || { echo 'check-gpu: there is no GPU here' >&2; exit 1; }
	@$(MAKE) models MADE_MODELS='$(MADE_MODELS) $(GPU_MODELS)'
	@tests/cuda/models_on_gpu $(ARGS)

# On the driver that stands in for NVIDIA's where there is no GPU.
conformance-gpu: all $(SUITE)
	@bash tests/conformance/setup.sh
	@tests/cuda/conformance $(if $(findstring --filter,$(ARGS)),,--all) $(ARGS)

conformance: $(SUITE)
	@bash tests/conformance/setup.sh
	@$(SUITE) $(if $(findstring --filter,$(ARGS)),,--all) $(ARGS)

demo:
	@$(MAKE) setup
	@$(MAKE) $(PARALLEL) all
	@bash tests/models/setup.sh
	@tools/demo.sh

bench: all
	@python3 tests/bench/bench.py $(ARGS)

bench-gpu: all $(GPU_BENCH)
	@$(GPU_BENCH) --info
	@$(MAKE) models MADE_MODELS='$(MADE_MODELS) $(GPU_MODELS)'
	@build/venv/bin/python tests/models/make_models.py build/models resnet50_b32 resnet50_b32_f16
	@$(GPU_BENCH) $(ARGS)

deps-check:
	@tools/deps_check.sh

lint:
	@tools/lint.sh

# tests/cli/lathec.sh checks that the page is what this writes.
ops-page: $(BIN)/lathec
	@$(BIN)/lathec --help ops-page >frontends/onnx/OPS.md.$$$$ && \
	    mv frontends/onnx/OPS.md.$$$$ frontends/onnx/OPS.md

# Not part of check: versions of clang-format disagree about the last blank. Rulers in comments are
# cut first, since it would break them.
format:
	@. tools/sources.sh && files=$$(list_sources '\.(c|h)$$') && \
	    sed -i -E 's|^(/\* ?-.{92}-)-+ \*/$$|\1 */|' $$files && clang-format -i $$files

# ---- install ------------------------------------------------------------------------

# $(call pc,NAME,DESCRIPTION,PRIVATE LIBRARIES): the pkg-config file of a library.
define pc
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' \
	    'Name: $(1)' 'Description: $(2)' 'Version: $(VERSION)' 'Libs: -L$${libdir} -l$(1)' \
	    'Libs.private: $(strip $(3))' 'Cflags: -I$${includedir}' \
	    >'$(DESTDIR)$(PREFIX)/lib/pkgconfig/$(1).pc'
endef

MAN         := $(PREFIX)/share/man/man1
COMPLETIONS := $(PREFIX)/share/bash-completion/completions

# Man pages and completion are what the tools say of themselves.
install: all
	@install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/lib/pkgconfig' \
	    '$(DESTDIR)$(PREFIX)/include/lathe' '$(DESTDIR)$(MAN)' '$(DESTDIR)$(COMPLETIONS)'
	$(if $(TOOLS),@install -m 755 $(TOOLS) '$(DESTDIR)$(PREFIX)/bin')
	@install -m 644 $(filter %.a,$(LIBRARIES)) '$(DESTDIR)$(PREFIX)/lib'
	@install -m 755 $(filter %.so,$(LIBRARIES)) '$(DESTDIR)$(PREFIX)/lib'
	@install -m 644 $(wildcard include/lathe/*.h include/lathe/*.def) \
	    '$(DESTDIR)$(PREFIX)/include/lathe'
	@for tool in $(TOOLS); do name=$${tool##*/}; \
	    $$tool --help man >'$(DESTDIR)$(MAN)'/$$name.1 && \
	    $$tool --help bash >'$(DESTDIR)$(COMPLETIONS)'/$$name || exit 1; \
	done
	$(call pc,lathe_rt,The runtime of compiled models,$(LIBS))
	$(call pc,lathe,A compiler for trained models,$(LLVM_LIBS) $(LIBS))
	@echo "installed in $(DESTDIR)$(PREFIX)"

clean:
	@rm -rf build/obj build/obj-* build/gen build/lib build/bin build/tests build/test-logs \
	    build/bench-gpu \
	    $(addprefix build/,$(notdir $(wildcard build/clang build/gcc-* build/clang-*)))

help:
	@printf '%s\n' \
	    'make               the tools in build/bin and the libraries in build/lib' \
	    'make setup         installs with apt-get what is missing' \
	    'make demo          compiles a real model and runs it on a real input' \
	    'make check         every test that a commit must pass' \
	    'make check-full    the same, the whole ONNX backend suite, and races in CUDA-C' \
	    'make check-gpu     whole models on this machine'"'"'s GPU' \
	    'make conformance-gpu   the same suite on a GPU, or on what stands in for one' \
	    'make bench-gpu     kernels beside cuBLAS and cuDNN, and whole models, on this machine'"'"'s GPU' \
	    'make conformance   the ONNX backend suite, with tables; ARGS=--help lists its options' \
	    'make tests         builds the test programs; make build/tests/NAME builds one' \
	    'make bench         lathe beside its peers; ARGS=--help lists its options' \
	    'make lint          sizes, style and include directions; make deps-check: the last alone' \
	    'make ops-page      writes frontends/onnx/OPS.md: the ONNX ops that are read' \
	    'make format        applies .clang-format' \
	    'make install       PREFIX=/usr/local DESTDIR=' \
	    'make clean         removes what was compiled (models and the Python environment stay)' \
	    '' \
	    'CC=clang  OPT=-O0  SAN=address|undefined|thread  CFLAGS=more  JOBS=n'
