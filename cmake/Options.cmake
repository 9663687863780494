# How everything is compiled.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Assertions stay on in release builds: a program that stops is better than a pool that is wrong.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g" CACHE STRING "" FORCE)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_C_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(leadpool_options INTERFACE)
target_include_directories(leadpool_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include)
target_compile_definitions(leadpool_options INTERFACE _POSIX_C_SOURCE=200809L LEADPOOL_VERSION="${PROJECT_VERSION}")
# Two warnings of gcc are guesses that change with its version, its level of optimisation and the sanitizers: seen, but no errors.
target_compile_options(leadpool_options INTERFACE -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes
    -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -fno-common -fno-semantic-interposition
    $<$<BOOL:${LEADPOOL_WERROR}>:-Werror>
    $<$<AND:$<BOOL:${LEADPOOL_WERROR}>,$<C_COMPILER_ID:GNU>>:-Wno-error=maybe-uninitialized;-Wno-error=format-truncation>
    $<$<CONFIG:RelWithDebInfo>:-fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
target_link_options(leadpool_options INTERFACE $<$<CONFIG:RelWithDebInfo>:-Wl,-z,relro,-z,now>)
