/* cnn gradcheck: numerical against backward gradients, a row for each tensor of each layer (5.7.4 of the
 * book). Exit code 1 where a row does not agree. */
#include <stdlib.h>
#include <string.h>

#include "cnn.h"
#include "commands.h"
#include "options.h"
#include "output.h"
#include "source.h"

static void print_row(void *context, const cnn_gradcheck_row *row) {
  (void)context;
  char oracle[TEXT_SIZE] = "-";
  if (strcmp(row->what, "output") != 0) snprintf(oracle, sizeof oracle, "%.2e", row->oracle);
  printf("%-12s %-8s %10lld %10s %10.2e  %s\n", row->layer, row->what, (long long)row->count, oracle,
         row->engine, row->ok ? "ok" : "FAILED");
}

int cmd_gradcheck(int argc, char **argv) {
  int64_t seed = 1;
  const struct option_row rows[] = {
      ROW_WHOLE("seed", "N", &seed, 0, LARGEST_SEED, NULL, "of the random inputs and weights"), ROW_END};
  struct command_line line = {
      .words = "NET|MODEL",
      .least = 1,
      .most = 1,
      .rows = rows,
      .about =
          "Compare numerical and backward gradients, layer by layer. `oracle' is the relative error of the "
          "plain loops in double against central differences, `engine' that of the fast float32 code "
          "against those loops.",
      .after = "Example:\n  cnn gradcheck simple-conv-net\n"};
  command_line_parse(&line, argc, argv);

  struct source source = {0};
  cnn_status status = source_load(line.word[0], &source);
  if (status == CNN_OK) {
    printf("%-12s %-8s %10s %10s %10s\n", "layer", "what", "elements", "oracle", "engine");
    status = cnn_gradcheck(source.net, (uint64_t)seed, print_row, NULL);
  }
  source_free(&source);
  return status == CNN_OK ? EXIT_SUCCESS : fail();
}
