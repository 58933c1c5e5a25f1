# Tests, found by folder: a new file is a new test. Exit status 77 means skipped.
#     tests/unit/NAME.c   a cmocka program, linked to the library's objects: it may see internal headers
#     tests/cli/NAME.sh   run by bash with the path of the program as $1; NAME.py likewise by python3
# Labels: unit, cli, example, rules, torch, install.
pkg_check_modules(CMOCKA REQUIRED cmocka)
find_program(BASH bash REQUIRED)

set(test_folder ${PROJECT_BINARY_DIR}/tests)
file(MAKE_DIRECTORY ${test_folder})

file(GLOB unit_sources CONFIGURE_DEPENDS tests/unit/*.c)
foreach(source ${unit_sources})
  get_filename_component(name ${source} NAME_WE)
  add_executable(test-${name} ${source})
  target_include_directories(test-${name} PRIVATE tests)
  target_include_directories(test-${name} SYSTEM PRIVATE ${CMOCKA_INCLUDE_DIRS})
  target_compile_definitions(test-${name} PRIVATE CNN_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                             CNN_TEST_EMULATED=$<BOOL:${CMAKE_CROSSCOMPILING}>)
  target_link_directories(test-${name} PRIVATE ${CMOCKA_LIBRARY_DIRS})
  target_link_libraries(test-${name} PRIVATE cnn_objects ${CMOCKA_LIBRARIES})
  set_target_properties(test-${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${test_folder})
  add_test(NAME unit-${name} COMMAND test-${name} WORKING_DIRECTORY ${test_folder})
  set_tests_properties(unit-${name} PROPERTIES LABELS unit)
  list(APPEND all_tests unit-${name})
endforeach()

file(GLOB cli_scripts CONFIGURE_DEPENDS tests/cli/*.sh)
foreach(script ${cli_scripts})
  get_filename_component(name ${script} NAME_WE)
  add_test(NAME cli-${name} COMMAND ${BASH} ${script} $<TARGET_FILE:cnn> WORKING_DIRECTORY ${test_folder})
  set_tests_properties(cli-${name} PROPERTIES LABELS cli)
  list(APPEND all_tests cli-${name})
endforeach()

find_program(PYTHON3 python3 REQUIRED)
file(GLOB cli_pythons CONFIGURE_DEPENDS tests/cli/*.py)
foreach(script ${cli_pythons})
  get_filename_component(name ${script} NAME_WE)
  add_test(NAME cli-${name} COMMAND ${PYTHON3} ${script} $<TARGET_FILE:cnn> WORKING_DIRECTORY ${test_folder})
  set_tests_properties(cli-${name} PROPERTIES LABELS cli)
  list(APPEND all_tests cli-${name})
endforeach()

# Examples that take nothing and check their own numbers. readme needs MNIST, predict a model and an image.
file(GLOB examples CONFIGURE_DEPENDS examples/*.c)
list(FILTER examples EXCLUDE REGEX "/(readme|predict)[.]c$")
if(TARGET examples-im2col)
  foreach(source ${examples})
    get_filename_component(name ${source} NAME_WE)
    add_test(NAME example-${name} COMMAND examples-${name} WORKING_DIRECTORY ${test_folder})
    set_tests_properties(example-${name} PROPERTIES LABELS example)
    list(APPEND all_tests example-${name})
  endforeach()
endif()

# Includes point one way: the tree as it is, and the checker itself.
add_test(NAME rules-includes COMMAND ${PROJECT_SOURCE_DIR}/tools/check-includes ${PROJECT_SOURCE_DIR})
add_test(NAME rules-includes-self COMMAND ${PROJECT_SOURCE_DIR}/tools/check-includes --self-test)
set_tests_properties(rules-includes rules-includes-self PROPERTIES LABELS rules)
list(APPEND all_tests rules-includes rules-includes-self)

# Whole networks against PyTorch, through libcnn.so; skipped where Debian's python3-torch is missing. A sanitizer's
# run time does not go into Python.
find_program(system_python python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(system_python AND NOT CMAKE_CROSSCOMPILING AND NOT CNN_SANITIZE)
  add_test(NAME torch-networks
           COMMAND ${system_python} ${PROJECT_SOURCE_DIR}/tools/check-torch $<TARGET_FILE:cnn_shared>)
  set_tests_properties(torch-networks PROPERTIES LABELS torch)
  list(APPEND all_tests torch-networks)
endif()

# The installed library, used as a stranger would. A sanitizer's run time would have to be linked too.
if(top_level AND NOT CNN_SANITIZE)
  add_test(NAME install COMMAND ${PROJECT_SOURCE_DIR}/tools/test-install ${PROJECT_BINARY_DIR})
  set_tests_properties(install PROPERTIES LABELS install)
  list(APPEND all_tests install)
endif()

set_tests_properties(${all_tests} PROPERTIES
  SKIP_RETURN_CODE 77
  TIMEOUT 900
  ENVIRONMENT "ASAN_OPTIONS=allocator_may_return_null=1;UBSAN_OPTIONS=print_stacktrace=1")
