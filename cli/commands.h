/* The commands of the program: one row in main.c's table, one cmd_*.c each. argv[0] is "cnn train"; the
 * result is the exit code: 0, or 1 after a sentence on standard error. Wrong usage exits with 2. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

int cmd_train(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_summary(int argc, char **argv);
int cmd_gradcheck(int argc, char **argv);
int cmd_layers(int argc, char **argv);
int cmd_data(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_serve(int argc, char **argv);

#endif
