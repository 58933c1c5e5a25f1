# Writes OUTPUT, a C file that holds every file of FOLDER as bytes. Declared in cli/serve.h.
#     cmake -DFOLDER=cli/page -DOUTPUT=page_files.c -P embed-page.cmake
set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")

file(GLOB files ${FOLDER}/*)
list(SORT files)

set(arrays "")
set(rows "")
set(number 0)
foreach(file ${files})
  get_filename_component(name ${file} NAME)
  string(REGEX REPLACE ".*[.]" "" ending ${name})
  if(NOT DEFINED type_${ending})
    message(FATAL_ERROR "${file}: cmake/embed-page.cmake knows no type for .${ending}")
  endif()
  file(READ ${file} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "static const unsigned char file${number}[] = {${bytes}};\n")
  string(APPEND rows "    {\"/${name}\", \"${type_${ending}}\", file${number}, sizeof file${number}},\n")
  math(EXPR number "${number} + 1")
endforeach()

file(WRITE ${OUTPUT}.new "/* The files of cli/page/. Made by cmake/embed-page.cmake: change those instead. */
#include \"serve.h\"

${arrays}
const struct page_file page_files[] = {
${rows}    {0}};
")
file(RENAME ${OUTPUT}.new ${OUTPUT})
