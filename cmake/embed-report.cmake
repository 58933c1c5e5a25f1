# Writes OUTPUT, a C file with FOLDER's report.css and report.js as text, and the content security policy of a page that
# has them inside: nothing from anywhere, pictures as data, and of style and script these two alone, by their SHA-256.
# Declared in cli/report.h.
#     cmake -DFOLDER=cli/report -DOUTPUT=report_files.c -P embed-report.cmake
set(digits ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)

# Base64 of 32 bytes given as hex digits: 10 times 3 bytes, then 2.
function(base64_of hex result)
  string(APPEND hex 00)
  set(text "")
  foreach(i RANGE 10)
    math(EXPR at "6 * ${i}")
    string(SUBSTRING ${hex} ${at} 6 three)
    math(EXPR bits "0x${three}")
    foreach(shift 18 12 6 0)
      math(EXPR index "(${bits} >> ${shift}) & 63")
      string(SUBSTRING ${digits} ${index} 1 digit)
      string(APPEND text ${digit})
    endforeach()
  endforeach()
  string(SUBSTRING ${text} 0 43 text)
  set(${result} "${text}=" PARENT_SCOPE)
endfunction()

set(arrays "")
foreach(ending css js)
  file(READ ${FOLDER}/report.${ending} text)
  file(SHA256 ${FOLDER}/report.${ending} hex)
  base64_of(${hex} hash_${ending})
  if(text MATCHES "</(style|script)")
    message(FATAL_ERROR "report.${ending}: this text would end the element that it stands in")
  endif()
  file(READ ${FOLDER}/report.${ending} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "const char report_${ending}[] = {${bytes}0};\n")
endforeach()

file(WRITE ${OUTPUT}.new "/* The files of cli/report/. Made by cmake/embed-report.cmake: change those instead. */
#include \"report.h\"

${arrays}
const char report_csp[] =
    \"default-src 'none'; img-src data:; style-src 'sha256-${hash_css}'; \"
    \"script-src 'sha256-${hash_js}'; base-uri 'none'; form-action 'none'\";
")
file(RENAME ${OUTPUT}.new ${OUTPUT})
