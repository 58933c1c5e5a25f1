# find_package(cnn): cnn::cnn is the shared library, cnn::cnn_static the static one.
include(${CMAKE_CURRENT_LIST_DIR}/cnnTargets.cmake)
