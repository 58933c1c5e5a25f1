/* Where the values of one image stand: no two that are alive together meet, and memory is used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/plan.h"
#include "random.h"

static bool meet(const struct place *a, const struct place *b) {
  return a->from <= b->to && b->from <= a->to;
}

static void check_layout(struct place *places, int count, bool passing) {
  int64_t end = layout_places(places, count, passing), sum = 0, most = 0;
  assert_int_equal(end % BLOCK, 0);
  for (int i = 0; i < count; i++) {
    const struct place *a = &places[i];
    if (a->passing != passing) {
      assert_int_equal(a->offset, -5); /* as it was */
      continue;
    }
    sum += a->floats;
    assert_true(a->offset >= 0 && a->offset % BLOCK == 0 && a->offset + a->floats <= end);
    int64_t at_once = 0; /* at the moment when a begins, all of these are there */
    for (int j = 0; j < count; j++) {
      const struct place *b = &places[j];
      if (b->passing != passing) continue;
      if (b->from <= a->from && a->from <= b->to) at_once += b->floats;
      if (j != i && meet(a, b))
        assert_true(a->offset + a->floats <= b->offset || b->offset + b->floats <= a->offset);
    }
    if (at_once > most) most = at_once;
  }
  assert_true(end >= most && end <= sum + BLOCK);
}

static void random_layouts(void **state) {
  (void)state;
  enum { MOST = 60 };
  struct random random = random_from(1);
  for (int turn = 0; turn < 400; turn++) {
    struct place places[MOST];
    int count = (int)draw(&random, 1, MOST), span = (int)draw(&random, 1, 40);
    bool both = draw(&random, 0, 1);
    for (int i = 0; i < count; i++) {
      int64_t from = draw(&random, -1, span);
      places[i] = (struct place){.floats = BLOCK * draw(&random, 1, 50),
                                 .offset = -5,
                                 .from = from,
                                 .to = from + draw(&random, 0, draw(&random, 0, 20)),
                                 .passing = both && draw(&random, 0, 1)};
    }
    check_layout(places, count, false);
    for (int i = 0; i < count; i++)
      if (!places[i].passing) places[i].offset = -5;
    check_layout(places, count, true);
  }
}

/* A chain, each value read by the next alone: two values are there at a time. */
static void chains_reuse_memory(void **state) {
  (void)state;
  struct place places[100];
  for (int i = 0; i < 100; i++) places[i] = (struct place){.floats = 160, .from = i, .to = i + 1};
  assert_int_equal(layout_places(places, 100, false), 320 + BLOCK);
  assert_int_equal(layout_places(places, 0, false), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_layouts),
      cmocka_unit_test(chains_reuse_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
