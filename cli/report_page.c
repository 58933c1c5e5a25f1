/* The page from top to bottom. Its style and script stand inside it and are the only ones its content
 * security policy lets run; everything else is text, numbers and pictures as data. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "messages.h"
#include "report.h"

static const struct {
  const char *id, *title;
} sections[] = {{"findings", "What stands out"}, {"curves-section", "Curves"},    {"run", "Run"},
                {"filters", "Filters"},          {"features", "Feature maps"},    {"confusion", "Confusion"},
                {"mistakes", "Worst mistakes"},  {"layers", "Layers and weights"}};
enum { FINDINGS, CURVES, RUN, FILTERS, FEATURES, CONFUSION, MISTAKES, LAYERS, SECTIONS };

static void begin(FILE *file, int section) {
  html(file, "<section id=\"%s\" aria-labelledby=\"%s-title\">\n<h2 id=\"%s-title\">%s</h2>\n",
       sections[section].id, sections[section].id, sections[section].id, sections[section].title);
}

static void end(FILE *file) { html(file, "</section>\n"); }

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash && slash[1] ? slash + 1 : path;
}

static void write_head(FILE *file, const struct report *report) {
  html(file,
       "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
       "<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">\n"
       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
       "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"generator\" content=\"cnn %s\">\n"
       "<link rel=\"icon\" href=\"data:,\">\n<title>Report on ",
       report_csp, cnn_version());
  html_text(file, base_name(report->model));
  html(file, "</title>\n<style>%s</style>\n</head>\n<body>\n", report_css);
}

static void write_fact(FILE *file, const char *title, const char *value, const char *more) {
  html(file, "<div><dt>%s</dt><dd><b>%s</b> %s</dd></div>\n", title, value, more);
}

static void write_facts(FILE *file, const struct report *report) {
  const struct measured *m = &report->measured;
  const struct run_log *log = &report->log;
  char value[64], more[96], a[32], b[32], time[TEXT_SIZE];
  int64_t parameters = 0;
  for (int i = 0; i < m->layers; i++) parameters += m->layer[i].layer.parameters;
  html(file, "<dl class=\"facts\">\n");
  snprintf(value, sizeof value, "%.2f %%", 100 * m->evaluation.accuracy);
  snprintf(more, sizeof more, "%s of %s test images", grouped(m->evaluation.correct, a),
           grouped(m->evaluation.total, b));
  write_fact(file, "accuracy", value, more);
  snprintf(value, sizeof value, "%.4f", m->evaluation.loss);
  write_fact(file, "loss", value, "mean over them");
  snprintf(more, sizeof more, "in %d layers", m->layers);
  write_fact(file, "parameters", grouped(parameters, a), more);
  write_fact(file, "multiply-adds", grouped(cnn_net_multiply_adds(cnn_plan_net(m->study.plan), CNN_INFER), a),
             "for an image");
  if (log->epochs) {
    int64_t last = log->epochs - 1;
    const json_t *epochs = json_object_get(json_object_get(log->start, "settings"), "epochs");
    snprintf(value, sizeof value, "%lld", (long long)log->epochs);
    snprintf(more, sizeof more, "of %lld in %s", (long long)json_integer_value(epochs),
             time_text(log->value[LOG_SECONDS][last], time));
    write_fact(file, "epochs", value, more);
  }
  html(file, "</dl>\n");
}

static void write_header(FILE *file, const struct report *report) {
  char shape[TEXT_SIZE];
  const struct study *study = &report->measured.study;
  html(file, "<header>\n<h1>");
  html_text(file, base_name(report->model));
  html(file,
       "</h1>\n<p class=\"fine\">What the network is, how it learned, what it looks at and where it fails, "
       "on the test "
       "images of ");
  html_text(file, report->data);
  html(file, " (%s).</p>\n", shape_text(cnn_dataset_image(study->data), shape));
  write_facts(file, report);
  html(file, "</header>\n<nav aria-label=\"Sections\"><ul>\n");
  for (int i = 0; i < SECTIONS; i++)
    html(file, "<li><a href=\"#%s\">%s</a></li>\n", sections[i].id, sections[i].title);
  html(file, "</ul></nav>\n<main>\n");
}

/* ---- The run ---- */

static void write_setting(FILE *file, const char *key, const json_t *value) {
  html(file, "<div><dt>");
  for (; *key; key++) html_text(file, (char[2]){*key == '_' ? ' ' : *key, '\0'});
  html(file, "</dt><dd>");
  if (json_is_string(value)) {
    html_text(file, json_string_value(value));
  } else if (json_is_real(value)) {
    html(file, "%.10g", json_real_value(value));
  } else {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    html_text(file, text ? text : "");
    free(text);
  }
  html(file, "</dd></div>\n");
}

static void write_settings(FILE *file, const struct report *report) {
  json_t *settings = json_loads(cnn_model_settings(report->measured.study.model), 0, NULL);
  const struct run_log *log = &report->log;
  const char *key;
  json_t *value;
  html(file, "<dl class=\"settings\">\n");
  if (log->start) {
    write_setting(file, "network", json_object_get(log->start, "network"));
    write_setting(file, "data", json_object_get(log->start, "data"));
  }
  json_object_foreach(settings, key, value) write_setting(file, key, value);
  if (log->start) write_setting(file, "threads", json_object_get(log->start, "threads"));
  html(file, "</dl>\n");
  json_decref(settings);
}

/* A model says neither what data it learned from nor whether its run was stopped; a log says both. */
static const char *repeats(const struct report *report) {
  json_t *settings = json_loads(cnn_model_settings(report->measured.study.model), 0, NULL);
  int64_t epochs = json_integer_value(json_object_get(settings, "epochs"));
  bool patient = json_object_get(settings, "patience");
  json_decref(settings);
  if (!report->log.path)
    return "If the model was trained on this data, to its last epoch, this command repeats the run to the "
           "last bit";
  if (report->log.epochs < epochs && !patient)
    return "The run was stopped. This command begins it again, and does not stop";
  return "This command repeats the run, to the last bit of the model";
}

static cnn_status write_run(FILE *file, const struct report *report) {
  const struct measured *m = &report->measured;
  char net_file[256];
  char *command =
      run_command(m->study.model, report->model, report->data, m->study.data, &report->log, net_file);
  if (!command) return CNN_E_MEMORY;
  if (*command) {
    html(file, "<p>%s:</p>\n<pre id=\"command\" tabindex=\"0\"><code>", repeats(report));
    html_text(file, command);
    html(file, "</code></pre>\n");
  } else {
    html(file, "<p>The model does not say how it was trained.</p>\n");
  }
  free(command);
  if (*net_file) {
    html(file, "<p>with the text of the network below in the file <code>");
    html_text(file, net_file);
    html(file, "</code>.</p>\n");
  }
  write_settings(file, report);
  html(file, "<details><summary>The network as text</summary>\n<pre id=\"network\" tabindex=\"0\"><code>");
  const char *text = cnn_model_text(m->study.model);
  html_text(file, text ? text : "");
  html(file, "</code></pre></details>\n");
  return text ? CNN_OK : CNN_E_MEMORY;
}

static void write_curves(FILE *file, const struct report *report) {
  if (report->log.path)
    charts_write(file, &report->log);
  else
    html(
        file,
        "<p id=\"no-log\">There is no log of the run, so how it went is not known. <code>cnn train ... --log "
        "run.jsonl</code> writes one, and <code>cnn report ... --log run.jsonl</code> draws it here.</p>\n");
}

cnn_status page_write(FILE *file, const struct report *report) {
  const struct measured *m = &report->measured;
  write_head(file, report);
  write_header(file, report);
  begin(file, FINDINGS);
  findings_write(file, report);
  end(file);
  begin(file, CURVES);
  write_curves(file, report);
  end(file);
  begin(file, RUN);
  cnn_status status = write_run(file, report);
  end(file);
  begin(file, FILTERS);
  if (status == CNN_OK) status = filters_write(file, m);
  end(file);
  begin(file, FEATURES);
  if (status == CNN_OK) status = features_write(file, m);
  end(file);
  begin(file, CONFUSION);
  confusion_write(file, m);
  end(file);
  begin(file, MISTAKES);
  if (status == CNN_OK) status = mistakes_write(file, m);
  end(file);
  begin(file, LAYERS);
  layers_write(file, m);
  weights_write(file, m);
  end(file);
  html(file, "</main>\n<footer class=\"fine\">Made by cnn %s from ", cnn_version());
  html_text(file, report->model);
  if (report->log.path) {
    html(file, " and ");
    html_text(file, report->log.path);
  }
  html(file, ".</footer>\n<script>%s</script>\n</body>\n</html>\n", report_js);
  return status;
}
