/* cnn show filters, response, features: what layers have learned, and what they make of an image (7.6.1
 * and 7.6.2 of the chapter). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "output.h"
#include "show.h"

/* Tiles of one value each are told apart by one black and one white for all. */
static bool one_value(cnn_tensor t) { return t.shape.h == 1 && t.shape.w == 1; }

/* ---- filters: Figure 7-24 ---- */

static cnn_status filter_sheet(const struct show *show, const cnn_plan *plan, const char *words,
                               cnn_picture **sheet, cnn_layer_info *layer) {
  cnn_tensor filters;
  cnn_status status = find_filters(plan, show->layer, layer, &filters);
  if (status != CNN_OK) return status;
  status =
      titled_sheet(filters, (cnn_sheet_options){.zoom = show->zoom, .shared = one_value(filters)}, sheet,
                   "%s%s: %lld filters of %lldx%lldx%lld", layer->name, words, (long long)filters.shape.n,
                   (long long)filters.shape.c, (long long)filters.shape.h, (long long)filters.shape.w);
  free(filters.data);
  return status;
}

/* The weights as they were drawn, on a plan of their own. */
static cnn_status initial_sheet(const struct show *show, const cnn_model *model, cnn_picture **sheet) {
  cnn_plan *plan = NULL;
  cnn_layer_info layer;
  cnn_status status = initial_plan(model, &plan);
  if (status == CNN_OK) status = filter_sheet(show, plan, ", before training", sheet, &layer);
  cnn_plan_free(plan);
  return status;
}

int show_filters(const struct show *show) {
  struct seen seen = {0};
  cnn_picture *sheets[2], *picture = NULL;
  cnn_layer_info layer = {0};
  int count = 0;
  cnn_status status = seen_open(show, CNN_INFER, 1, &seen);
  if (status == CNN_OK && show->before) {
    status = initial_sheet(show, seen.model, &sheets[0]);
    if (status == CNN_OK) count = 1;
  }
  if (status == CNN_OK) {
    status = filter_sheet(show, seen.plan, show->before ? ", after" : "", &sheets[count], &layer);
    if (status == CNN_OK) count++;
  }
  cnn_status joined = count ? join_pictures(sheets, count, true, &picture) : CNN_OK;
  status = write_picture(status == CNN_OK ? joined : status, picture, show->out);
  if (status == CNN_OK)
    printf("%s: the filters of %s%s\n", show->out, layer.name,
           show->before ? ", before and after training" : "");
  seen_free(&seen);
  return show_result(status);
}

/* ---- response: Figure 7-25 ---- */

/* "1 0 -1 / 2 0 -2" as 1x1xfhxfw; the sentence where it is none. */
static cnn_status read_filter(const char *text, float *values, cnn_shape *shape) {
  enum { MOST = 31 };
  int64_t rows = 1, columns = 0, in_row = 0;
  for (const char *at = text; *(at += strspn(at, " \t,"));) {
    if (*at == '/') {
      if (rows == MOST || in_row == 0 || (columns && in_row != columns)) break;
      columns = in_row;
      in_row = 0;
      rows++;
      at++;
      continue;
    }
    char *end;
    float value = strtof(at, &end);
    if (end == at || in_row == MOST || !isfinite(value)) break;
    values[(rows - 1) * (columns ? columns : MOST) + in_row++] = value;
    at = end;
    if (!*(at + strspn(at, " \t,")) && (!columns || in_row == columns)) {
      *shape = (cnn_shape){1, 1, rows, in_row};
      return CNN_OK;
    }
  }
  return CNN_E_ARGUMENT;
}

/* What a filter typed by hand makes of the image: a network of one convolution. Channels are averaged before.
 */
static cnn_status apply_filter(const struct seen *seen, cnn_tensor filter, cnn_tensor *response) {
  char text[128];
  cnn_net *net = NULL;
  cnn_plan *plan = NULL;
  cnn_plan_options options = {.mode = CNN_INFER, .batch = 1, .threads = 1};
  cnn_shape s = seen->x.shape;
  int64_t pixels = s.h * s.w;
  snprintf(text, sizeof text, "input shape=1x%lldx%lld\nconv filters=1 kernel=%lldx%lld bias=no",
           (long long)s.h, (long long)s.w, (long long)filter.shape.h, (long long)filter.shape.w);
  cnn_status status = cnn_net_parse(text, "--filter", &net);
  if (status == CNN_OK) status = cnn_plan_new(net, &options, &plan);
  if (status == CNN_OK)
    status = cnn_plan_set_weight(plan, "conv1.weight", filter.data, filter.shape.h * filter.shape.w);
  cnn_tensor grey = {.shape = {1, 1, s.h, s.w}}, result = {0};
  if (status == CNN_OK) {
    result.shape = cnn_net_output(net);
    grey.data = calloc((size_t)pixels, sizeof *grey.data);
    result.data = calloc((size_t)(result.shape.h * result.shape.w), sizeof *result.data);
    if (!grey.data || !result.data) status = CNN_E_MEMORY;
  }
  for (int64_t i = 0; status == CNN_OK && i < s.c * pixels; i++)
    grey.data[i % pixels] += seen->x.data[i] / (float)s.c;
  if (status == CNN_OK) status = cnn_plan_forward(plan, grey, result);
  free(grey.data);
  cnn_plan_free(plan);
  cnn_net_free(net);
  if (status == CNN_OK)
    *response = result;
  else
    free(result.data);
  return status;
}

/* One filter beside what it makes of the image. Filters of one value, or of other than 1 or 3 channels,
 * cannot be seen at once. */
static cnn_status response_pair(cnn_tensor filters, cnn_tensor responses, int64_t i, int64_t zoom,
                                cnn_picture **pair) {
  cnn_shape f = filters.shape, r = responses.shape;
  cnn_tensor filter = {filters.data + i * f.c * f.h * f.w, {1, f.c, f.h, f.w}},
             response = {responses.data + i * r.h * r.w, {1, 1, r.h, r.w}};
  bool visible = f.n == r.c && (f.c == 3 || (f.c == 1 && !one_value(filters)));
  cnn_picture *parts[2];
  int64_t side = f.h > f.w ? f.h : f.w, filter_zoom = r.h * zoom / side;
  cnn_status status =
      titled_sheet(visible ? filter : response,
                   (cnn_sheet_options){.zoom = visible ? filter_zoom > 0 ? filter_zoom : 1 : zoom}, &parts[0],
                   "%lld", (long long)i);
  if (status != CNN_OK || !visible) {
    if (status == CNN_OK) *pair = parts[0];
    return status;
  }
  status = titled_sheet(response, (cnn_sheet_options){.zoom = zoom}, &parts[1], " ");
  if (status != CNN_OK) {
    cnn_picture_free(parts[0]);
    return status;
  }
  return join_pictures(parts, 2, true, pair);
}

/* Rows of pairs. */
static cnn_status response_grid(cnn_tensor filters, cnn_tensor responses, int64_t zoom, cnn_picture **grid) {
  enum { COLUMNS = 5 };
  cnn_picture *row[COLUMNS], *column[2] = {NULL};
  cnn_status status = CNN_OK;
  for (int64_t i = 0; status == CNN_OK && i < responses.shape.c; i += COLUMNS) {
    int count = 0;
    for (int64_t k = i; status == CNN_OK && k < i + COLUMNS && k < responses.shape.c; k++) {
      status = response_pair(filters, responses, k, zoom, &row[count]);
      if (status == CNN_OK) count++;
    }
    cnn_picture *joined = NULL;
    cnn_status together = count ? join_pictures(row, count, true, &joined) : CNN_OK;
    if (status == CNN_OK) status = together;
    column[column[0] != NULL] = joined;
    if (status == CNN_OK && column[1]) {
      status = join_pictures(column, 2, false, &joined);
      column[0] = status == CNN_OK ? joined : NULL;
      column[1] = NULL;
    }
  }
  if (status != CNN_OK) {
    cnn_picture_free(column[0]);
    cnn_picture_free(column[1]);
    return status;
  }
  *grid = column[0];
  return CNN_OK;
}

/* Near 72 pixels, unless the command line says how much. */
static int64_t response_zoom(const struct show *show, cnn_shape s) {
  return show->zoom ? show->zoom : s.h < 72 ? (72 + s.h - 1) / s.h : 1;
}

static cnn_status draw_response(const struct show *show, const struct seen *seen, cnn_tensor filters,
                                cnn_tensor responses) {
  cnn_picture *parts[2], *picture = NULL;
  cnn_sheet_options of_image = {.zoom = response_zoom(show, seen->x.shape), .asis = true};
  cnn_status status = titled_sheet(seen->x, of_image, &parts[0], "image");
  if (status == CNN_OK) {
    status = response_grid(filters, responses, response_zoom(show, responses.shape), &parts[1]);
    if (status == CNN_OK)
      status = join_pictures(parts, 2, true, &picture);
    else
      cnn_picture_free(parts[0]);
  }
  return write_picture(status, picture, show->out);
}

int show_response(const struct show *show) {
  struct seen seen = {0};
  cnn_layer_info layer = {0};
  float typed[31 * 31];
  cnn_tensor filters = {0}, responses = {0};
  cnn_shape shape;
  if (show->filter && read_filter(show->filter, typed, &shape) != CNN_OK)
    return fail_with(
        "--filter: '%s' is no filter: write rows of as many numbers each, as \"1 0 -1 / 2 0 -2\"",
        show->filter);
  cnn_status status = seen_open(show, CNN_INFER, 1, &seen);
  if (status == CNN_OK) status = seen_forward(show, &seen);
  if (status == CNN_OK && show->filter)
    status = apply_filter(&seen, (cnn_tensor){typed, shape}, &responses);
  else if (status == CNN_OK)
    status = find_filters(seen.plan, show->layer, &layer, &filters);
  if (status == CNN_OK && !show->filter) status = seen_output(&seen, layer.name, &responses);
  if (status == CNN_OK && one_value(responses)) {
    fail_with("each response is one value, and no picture; `cnn show features` shows such layers");
    exit(EXIT_FAILURE);
  }
  if (status == CNN_OK)
    status = draw_response(show, &seen, show->filter ? (cnn_tensor){typed, shape} : filters, responses);
  if (status == CNN_OK)
    printf("%s: the image, beside it %s and the %lldx%lld responses\n", show->out,
           show->filter ? "the filter" : layer.name, (long long)responses.shape.h,
           (long long)responses.shape.w);
  free(responses.data);
  free(filters.data);
  seen_free(&seen);
  return show_result(status);
}

/* ---- features: Figure 7-26's blocks ---- */

/* A layer's maps; of one value each, a row of squares, all on one scale. */
static cnn_status feature_sheet(const struct show *show, const struct seen *seen, int index,
                                cnn_picture **sheet) {
  enum { SQUARES = 50, SQUARE = 14, TILE = 48, WIDTH = 900 /* pixels */ };
  const cnn_net *net = cnn_plan_net(seen->plan);
  const char *labels[SQUARES];
  char names[SQUARES][96];
  cnn_layer_info layer;
  cnn_tensor maps;
  cnn_status status = cnn_net_layer(net, index, &layer);
  if (status == CNN_OK) status = seen_output(seen, layer.name, &maps);
  if (status != CNN_OK) return status;
  bool single = maps.shape.h == 1 && maps.shape.w == 1;
  int64_t side = maps.shape.h < maps.shape.w ? maps.shape.h : maps.shape.w,
          zoom = show->zoom ? show->zoom : (TILE + side - 1) / side,
          columns = WIDTH / (maps.shape.w * zoom + 4);
  cnn_sheet_options options = {
      .zoom = zoom, .columns = columns > 1 ? columns : 1, .split = index > 0, .mark = index > 0};
  if (single)
    options =
        (cnn_sheet_options){.zoom = SQUARE, .columns = SQUARES, .split = true, .shared = true, .mark = true};
  bool last = index == cnn_net_layer_count(net) - 1;
  for (int64_t i = 0; last && single && maps.shape.c <= SQUARES && i < maps.shape.c; i++) {
    labels[i] = show_class(seen->model, i, names[i]);
    options.labels = labels;
  }
  char shape[TEXT_SIZE];
  status = titled_sheet(maps, options, sheet, "%s: %s", layer.name, shape_text(layer.out, shape));
  free(maps.data);
  return status;
}

int show_features(const struct show *show) {
  struct seen seen = {0};
  cnn_picture *picture = NULL, *both[2];
  cnn_status status = seen_open(show, CNN_INFER, 1, &seen);
  if (status == CNN_OK) status = seen_forward(show, &seen);
  int first = 0, end = status == CNN_OK ? cnn_net_layer_count(cnn_plan_net(seen.plan)) : 0;
  if (status == CNN_OK && show->layer) {
    status = cnn_net_find(cnn_plan_net(seen.plan), show->layer, &first);
    end = first + 1;
  }
  for (int i = first; status == CNN_OK && i < end; i++) {
    status = feature_sheet(show, &seen, i, &both[1]);
    if (status != CNN_OK || !picture) {
      if (status == CNN_OK) picture = both[1];
      continue;
    }
    both[0] = picture;
    picture = NULL;
    status = join_pictures(both, 2, false, &picture);
  }
  status = write_picture(status, picture, show->out);
  if (status == CNN_OK)
    printf("%s: what %d layer%s of the image, the strongest value of each map framed\n", show->out,
           end - first, end - first == 1 ? " makes" : "s make");
  seen_free(&seen);
  return show_result(status);
}
