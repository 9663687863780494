# libleadpool, for programs that embed the client: one static and one shared library that show lp_* and nothing else.
#
# The static one is all objects of proto/ and client/ linked into one (ld -r), in which every other symbol is made local:
# names like `buf_append` cannot collide with the embedding program's. The shared one says the same by version script.
set(LEADPOOL_ARCHIVE ${CMAKE_BINARY_DIR}/lib/libleadpool.a)
set(LEADPOOL_OBJECT ${CMAKE_BINARY_DIR}/lib/leadpool.o)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

add_custom_command(OUTPUT ${LEADPOOL_ARCHIVE}
    COMMAND ${CMAKE_LINKER} -r -o ${LEADPOOL_OBJECT} $<TARGET_OBJECTS:proto> $<TARGET_OBJECTS:client>
    COMMAND ${CMAKE_OBJCOPY} --wildcard "--keep-global-symbol=lp_*" ${LEADPOOL_OBJECT}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${LEADPOOL_ARCHIVE}
    COMMAND ${CMAKE_AR} rcs ${LEADPOOL_ARCHIVE} ${LEADPOOL_OBJECT}
    DEPENDS $<TARGET_OBJECTS:proto> $<TARGET_OBJECTS:client>
    COMMENT "Combining libleadpool.a" COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(libleadpool_static ALL DEPENDS ${LEADPOOL_ARCHIVE})

add_library(libleadpool_shared SHARED ${CMAKE_SOURCE_DIR}/CMakeLists.txt $<TARGET_OBJECTS:proto> $<TARGET_OBJECTS:client>)
target_link_libraries(libleadpool_shared PRIVATE client)
target_link_options(libleadpool_shared PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/leadpool.map
    -Wl,-Bsymbolic-functions)
set_target_properties(libleadpool_shared PROPERTIES OUTPUT_NAME leadpool VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR} LINKER_LANGUAGE C LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib
    LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/leadpool.map)
