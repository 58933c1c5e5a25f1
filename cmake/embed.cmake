# Writes OUTPUT, a C file that holds the text of every FOLDER/*.net. Declared in src/net/builtin.h.
#     cmake -DFOLDER=nets -DOUTPUT=builtin_nets.c -P embed.cmake
file(GLOB nets ${FOLDER}/*.net)
list(SORT nets)

set(rows "")
foreach(net ${nets})
  get_filename_component(name ${net} NAME_WLE)
  file(READ ${net} text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "?" "\\?" text "${text}") # no trigraphs
  string(REPLACE "\t" "\\t" text "${text}")
  string(REPLACE "\r" "\\r" text "${text}")
  string(REPLACE "\n" "\\n\"\n     \"" text "${text}")
  string(APPEND rows "    {\"${name}\",\n     \"${text}\"},\n")
endforeach()

file(WRITE ${OUTPUT}.new "/* The networks of nets/, by name. Made by cmake/embed.cmake: change nets/ instead. */
#include \"net/builtin.h\"

const struct builtin_net builtin_nets[] = {
${rows}    {NULL, NULL}};
")
file(RENAME ${OUTPUT}.new ${OUTPUT})
