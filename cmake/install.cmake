# `cmake --install`: header, both libraries, program, pkg-config file, CMake package, man page,
# completion, networks. Everything that is written finds its prefix from where it lies.
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/cnn)

install(FILES include/cnn.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS cnn RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS cnn_shared cnn_static EXPORT cnnTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT cnnTargets NAMESPACE cnn:: DESTINATION ${package_folder})

write_basic_package_version_file(${PROJECT_BINARY_DIR}/generated/cnnConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES cmake/cnnConfig.cmake ${PROJECT_BINARY_DIR}/generated/cnnConfigVersion.cmake
        DESTINATION ${package_folder})

list(TRANSFORM link_system PREPEND -l OUTPUT_VARIABLE pc_libs_private)
list(JOIN pc_libs_private " " pc_libs_private)
list(JOIN pkg_modules " " pc_requires_private)
file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pc_prefix ${pc_prefix})
configure_file(cmake/cnn.pc.in ${PROJECT_BINARY_DIR}/generated/cnn.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/generated/cnn.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES man/cnn.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES completions/cnn.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME cnn)
install(FILES README.md README.zh-CN.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY nets/ DESTINATION ${CMAKE_INSTALL_DATADIR}/cnn/nets FILES_MATCHING PATTERN "*.net")
