# stand_in.bash - builds what stands in for NVIDIA's software on a machine without a GPU. Sourced.

# build_program OUT FLAGS-AND-FILES...
build_program() {
	mkdir -p "$(dirname "$1")"
	${CC:-cc} -std=c17 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -fPIC -fvisibility=hidden -I. -Iinclude -o "$@"
}

# build_driver FOLDER [FLAGS]: FOLDER/libcuda.so.1
build_driver() {
	build_program "$1/libcuda.so.1" -shared -Wl,-soname,libcuda.so.1 tests/cuda/driver.c tests/cuda/driver_stream.c "${@:2}"
}

# build_libraries FOLDER DRIVER-FOLDER: cuBLAS and cuDNN
build_libraries() {
	build_program "$1/libcublas.so.12" -shared tests/cuda/cublas.c runtime/base/half.c "$2/libcuda.so.1" &&
		build_program "$1/libcudnn.so.9" -shared tests/cuda/cudnn.c runtime/base/half.c "$2/libcuda.so.1"
}

# build_header FOLDER: what tests/cuda/nvcc includes, compiled once with $FAKE_OPT; FAKE_HEADER names it.
build_header() {
	mkdir -p "$1"
	export FAKE_HEADER=$1/image.h
	echo '#include "tests/cuda/image.h"' >"$FAKE_HEADER"
	g++ -std=c++17 "${FAKE_OPT:--O1}" -w -I"$PWD" -fPIC -x c++-header "$FAKE_HEADER" -o "$FAKE_HEADER.gch"
}
