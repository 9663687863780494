# What `cmake --install` installs, and how a program finds the library afterwards: pkg-config, or find_package(leadpool).
include(CMakePackageConfigHelpers)
set(LEADPOOL_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/leadpool)

# Libraries without a .pc file of their own, as linker flags: only a static link needs them.
set(LEADPOOL_PRIVATE_LIBS "")
foreach(library WSLAY MSGPACK HTTP_PARSER NNG)
    get_filename_component(name ${${library}_LIBRARY} NAME_WE)
    string(REGEX REPLACE "^lib" "-l" flag ${name})
    string(APPEND LEADPOOL_PRIVATE_LIBS "${flag} ")
endforeach()
string(APPEND LEADPOOL_PRIVATE_LIBS "-lpthread -lm")
string(REPLACE " " ";" LEADPOOL_PRIVATE_LIBS_LIST "${LEADPOOL_PRIVATE_LIBS}")

# The .pc file names its prefix relative to itself, so that a tree can be moved after installation.
file(RELATIVE_PATH LEADPOOL_PC_TO_PREFIX /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
string(REGEX REPLACE "/$" "" LEADPOOL_PC_TO_PREFIX ${LEADPOOL_PC_TO_PREFIX})
configure_file(cmake/leadpool.pc.in ${CMAKE_BINARY_DIR}/leadpool.pc @ONLY)
configure_package_config_file(cmake/leadpoolConfig.cmake.in ${CMAKE_BINARY_DIR}/leadpoolConfig.cmake
    INSTALL_DESTINATION ${LEADPOOL_CMAKE_DIR} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/leadpoolConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(DIRECTORY include/leadpool DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${LEADPOOL_ARCHIVE} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS libleadpool_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${CMAKE_BINARY_DIR}/leadpool.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${CMAKE_BINARY_DIR}/leadpoolConfig.cmake ${CMAKE_BINARY_DIR}/leadpoolConfigVersion.cmake
    DESTINATION ${LEADPOOL_CMAKE_DIR})
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)

foreach(program leadpool leadpoold)
    if(TARGET ${program})
        install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    endif()
endforeach()

file(GLOB MAN1_PAGES CONFIGURE_DEPENDS docs/man/*.1)
file(GLOB MAN8_PAGES CONFIGURE_DEPENDS docs/man/*.8)
install(FILES ${MAN1_PAGES} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${MAN8_PAGES} DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)

# Completions, written by the program itself, each under the name its shell looks for.
if(TARGET leadpool AND NOT CMAKE_CROSSCOMPILING)
    set(COMPLETIONS ${CMAKE_BINARY_DIR}/completions)
    file(MAKE_DIRECTORY ${COMPLETIONS})
    foreach(shell bash zsh fish)
        install(CODE "execute_process(COMMAND \"$<TARGET_FILE:leadpool>\" completions ${shell}
            OUTPUT_FILE \"${COMPLETIONS}/leadpool.${shell}\" COMMAND_ERROR_IS_FATAL ANY)")
    endforeach()
    install(FILES ${COMPLETIONS}/leadpool.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME leadpool)
    install(FILES ${COMPLETIONS}/leadpool.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _leadpool)
    install(FILES ${COMPLETIONS}/leadpool.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()

install(FILES server/systemd/leadpoold.service DESTINATION lib/systemd/system OPTIONAL)
