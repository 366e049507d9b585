#include <taper/train/report/report.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <system_error>

#include <taper/core/error.h>
#include <taper/core/parse_fields.h>
#include <taper/io/files.h>
#include <taper/io/images.h>
#include <taper/ops/ops.h>
#include <taper/train/report/gnuplot.h>
#include <taper/train/report/mosaic.h>
#include <taper/train/report/report_data.h>
#include <taper/train/report/report_html.h>
#include <taper/train/report/report_plots.h>
#include <taper/train/report/summary.h>

namespace taper {
namespace {

namespace fs = std::filesystem;

constexpr size_t most_mistakes = 24;
constexpr int64_t most_tiles = 64;
constexpr size_t most_classes_drawn = 30;
constexpr size_t most_epochs = 20;   // in a table that is not folded
constexpr size_t most_letters = 28;  // of a class's name
constexpr int64_t most_points = 2000;
constexpr int64_t tile_side = 56;  // of a filter or map, in pixels
constexpr uint8_t grey = 208;      // between tiles
constexpr size_t largest_figure = size_t{8} << 20;

constexpr const char* no_gnuplot = "gnuplot is missing or failed: the report has no curves";

/// Puts the sections together.
class Report {
 public:
  Report(fs::path folder, const ReportInput& input)
      : figures_(folder / "figures"),
        folder_(std::move(folder)),
        input_(input),
        origin_(parse_fields<RunOrigin>("made", input.run.made)) {}

  WrittenReport write(const std::vector<std::string>& earlier) {
    std::error_code error;
    for (const std::string& name : earlier) fs::remove(folder_ / name, error);
    make_folder(figures_, error);
    remove_cut_files(figures_);
    if (error) fail(ErrorKind::io, figures_.string() + ": " + error.message());
    facts_ = classifier_facts(input_, most_mistakes);
    add_results();
    add_curves();
    add_regression();
    add_classes();
    add_mistakes();
    add_calibration();
    add_pictures_of_the_model();
    add_layers();
    add_facts();
    if (without_gnuplot_) body_ += "<p class=\"note\">" + std::string(no_gnuplot) + ".</p>\n";
    write_file_atomically(folder_ / "report.html", html_page(title(), body_));
    written_.files.emplace_back("report.html");
    if (without_gnuplot_) written_.remark = no_gnuplot;
    return written_;
  }

 private:
  std::string title() const {
    const ModelInfo& info = input_.info;
    if (info.data.empty() || info.name.empty()) return "Report" + info.data + info.name;
    return fs::path(info.data).filename().string() + ": " + info.name;
  }

  void section(const std::string& title, const std::string& html) {
    if (!html.empty()) body_ += "<h2>" + escape_html(title) + "</h2>\n" + html + "\n";
  }

  /// The drawing as HTML; empty if gnuplot does not draw.
  std::string draw(const Plot& plot) {
    const fs::path file = folder_ / plot.file;
    if (without_gnuplot_ || !draw_with_gnuplot(plot.script, plot.width, plot.height, file)) {
      without_gnuplot_ = true;
      return {};
    }
    written_.files.push_back(plot.file);
    return html_image(read_file(file, largest_figure), "svg+xml", file.stem().string());
  }

  /// Beside each other where there is room.
  std::string draw(const std::vector<Plot>& plots) {
    std::string html;
    for (const Plot& plot : plots) html += draw(plot) + "\n";
    return without_gnuplot_ ? "" : "<div class=\"plots\">" + html + "</div>\n";
  }

  std::string keep(const char* name, const Tensor& picture) {
    const std::string png = encode_png(picture);
    write_file_atomically(figures_ / (std::string(name) + ".png"), png);
    written_.files.push_back("figures/" + std::string(name) + ".png");
    return html_image(png, "png", name);
  }

  /// A class's name, shortened where it is long.
  HtmlCell cell_of_class(size_t number) const {
    const std::string name = class_name(input_.test, number);
    std::string shown = shortened(name, most_letters);
    return shown == name ? HtmlCell(name) : HtmlCell(std::move(shown), name);
  }

  void add_results() {
    const RunReport& run = input_.run;
    std::vector<HtmlRow> rows{{run.part + " loss", fmt::format("{:.4f}", input_.test.loss)}};
    for (const auto& [name, value] : input_.test.metrics) {
      rows.push_back({run.part + " " + name, fmt::format("{:.4f}", value)});
    }
    rows.push_back({run.part + " examples", std::to_string(input_.test.examples)});
    if (const auto error = error_in_own_scale(input_.info, input_.test.loss)) {
      rows.push_back({"root mean square error", fmt::format("{:.4g}", *error)});
    }
    const data::DataForm& form = input_.info.form;
    if (!form.target.empty() && form.class_names.empty()) {
      rows.push_back({"the loss is", "of " + form.target + " standardised: less its mean " +
                                         fmt::format("{:.6g}", form.target_mean) +
                                         ", by its deviation " +
                                         fmt::format("{:.6g}", form.target_deviation)});
    }
    section("Results", html_table({}, rows));
  }

  void add_facts() {
    const RunReport& run = input_.run;
    double seconds = 0;
    for (const double epoch : run.epoch_seconds) seconds += epoch;
    std::vector<HtmlRow> rows;
    for (const auto& [name, value] : origin_.options) {
      const std::string* text = value.get_if<std::string>();
      const bool is_empty = text != nullptr ? text->empty() : value.size() == 0;
      const bool holds = value.is_list() || value.get_if<Fields>() != nullptr || text != nullptr;
      const bool is_off = !holds && name != "seed" &&
                          (value == Value(0) || value == Value(0.0) || value == Value(false));
      if (name == "recipe" || value.is_none() || (holds && is_empty) || is_off) continue;
      rows.push_back({name, text != nullptr ? *text : value.print()});
    }
    for (const auto& [part, count] : {std::pair{"training examples", origin_.training_examples},
                                      std::pair{"validation examples", origin_.validation_examples},
                                      std::pair{"test examples", origin_.test_examples}}) {
      if (count > 0) rows.push_back({part, std::to_string(count)});
    }
    rows.push_back({"epochs", std::to_string(run.epochs)});
    rows.push_back({"parameters", std::to_string(input_.model.num_parameters())});
    rows.push_back({"time of the epochs", fmt::format("{:.1f} s", seconds)});
    rows.push_back({"peak memory", fmt::format("{:.0f} MB", run.peak_memory_mb)});
    rows.push_back({"date", origin_.date});
    rows.push_back({"processor", fmt::format("{}, {} thread{}", origin_.machine, run.threads,
                                             run.threads == 1 ? "" : "s")});
    rows.push_back({"made by", origin_.made_by});
    section("How it was made", html_table({}, rows));
  }

  /// The losses, and beside them what else was measured of training and validation.
  void add_curves() {
    const History& history = input_.history;
    if (history.epochs() == 0) return;
    HtmlRow head{"epoch"};
    for (const std::string& name : history.names()) head.emplace_back(name);
    std::vector<HtmlRow> rows;
    for (size_t epoch = 0; epoch < history.epochs(); ++epoch) {
      HtmlRow row{std::to_string(epoch + 1)};
      for (const std::string& name : history.names()) {
        const double value = history[name].at(epoch);
        const bool small = value != 0 && std::abs(value) < 1e-3;
        row.emplace_back(small ? fmt::format("{:.3e}", value) : fmt::format("{:.4f}", value));
      }
      rows.push_back(std::move(row));
    }
    const size_t best = best_epoch(history);
    std::string table = html_table(head, rows, best);
    if (rows.size() > most_epochs) {
      table = html_table(head, {rows.front(), rows[best], rows.back()}, 1) +
              html_folded(fmt::format("All {} epochs", rows.size()), table);
    }
    section("Learning",
            fmt::format("<p class=\"note\">The best epoch is {}, by its {}.</p>\n", best + 1,
                        history.has("val_loss") ? "validation loss" : "loss") +
                draw(plot_curves(history, origin_)) + table);
  }

  void add_classes() {
    if (!input_.test.confusion) return;
    std::vector<HtmlRow> rows;
    const auto scores = input_.test.confusion->scores();
    for (size_t i = 0; i < scores.size(); ++i) {
      rows.push_back({cell_of_class(i), fmt::format("{:.4f}", scores[i].precision),
                      fmt::format("{:.4f}", scores[i].recall), fmt::format("{:.4f}", scores[i].f1),
                      std::to_string(scores[i].support)});
    }
    section("Classes", html_table({"class", "precision", "recall", "F1", "examples"}, rows));
    if (scores.size() > most_classes_drawn) return;
    section("Confusion matrix", confusion_table());
    draw(plot_confusion(input_.test));  // the same as a figure of its own
  }

  /// True classes down, predicted ones across; the more examples, the darker.
  std::string confusion_table() const {
    const ConfusionMatrix& matrix = *input_.test.confusion;
    int64_t largest = 1;
    for (int64_t i = 0; i < matrix.classes() * matrix.classes(); ++i) {
      largest = std::max(largest, matrix(i / matrix.classes(), i % matrix.classes()));
    }
    HtmlRow head{"true \\ predicted"};
    for (int64_t i = 0; i < matrix.classes(); ++i) {
      head.push_back(cell_of_class(static_cast<size_t>(i)));
    }
    std::vector<HtmlRow> rows;
    for (int64_t i = 0; i < matrix.classes(); ++i) {
      HtmlRow row{cell_of_class(static_cast<size_t>(i))};
      for (int64_t j = 0; j < matrix.classes(); ++j) {
        row.emplace_back(std::to_string(matrix(i, j)));
        row.back().shade = static_cast<double>(matrix(i, j)) / static_cast<double>(largest);
      }
      rows.push_back(std::move(row));
    }
    return html_table(head, rows, no_row, "matrix");
  }

  void add_regression() {
    if (input_.test.outputs.task != Task::regression) return;
    const auto facts = regression_facts(input_, most_points);
    section("Predictions",
            facts ? draw(plot_regression(*facts))
                  : "<p class=\"note\">The model gives several numbers for each example: they are "
                    "not drawn against the true ones.</p>\n");
  }

  void add_mistakes() {
    if (!facts_ || !are_images(input_.info) || facts_->mistakes.empty()) return;
    std::string html =
        "<p class=\"note\">The mistakes that the model was most certain of.</p>\n"
        "<div class=\"grid\">\n";
    std::vector<Tensor> tiles;
    const auto named = [&](int64_t number) {
      const HtmlCell cell = cell_of_class(static_cast<size_t>(number));
      const std::string whole = cell.title.empty() ? cell.text : cell.title;
      return fmt::format("<span title=\"{}\">{}</span>", escape_html(whole),
                         escape_html(cell.text));
    };
    for (const Mistake& mistake : facts_->mistakes) {
      const Tensor picture =
          to_picture(input_.data->get(mistake.example)[0], input_.data->input_scale());
      tiles.push_back(astype(picture, DType::f32));
      html +=
          fmt::format("<figure>{}<figcaption>{}<br>taken for {} ({:.0f} %)</figcaption></figure>\n",
                      html_image(encode_png(picture), "png", "picture"), named(mistake.truth),
                      named(mistake.predicted), 100 * mistake.probability);
    }
    keep("mistakes", mosaic(stack(tiles), 8, 2));
    section("Mistakes", html + "</div>\n");
  }

  void add_calibration() {
    if (!facts_) return;
    std::vector<HtmlRow> rows;
    for (const CalibrationBin& bin : facts_->bins) {
      if (bin.examples == 0) continue;
      rows.push_back({fmt::format("{:.3f}", bin.confidence), fmt::format("{:.3f}", bin.accuracy),
                      std::to_string(bin.examples)});
    }
    section(
        "Calibration",
        fmt::format("<p>Expected calibration error {:.4f}: the mean distance between how certain "
                    "the model is and how often it is right, over ten bins (Guo and others, "
                    "2017).</p>\n",
                    facts_->expected_calibration_error) +
            draw(std::vector{plot_calibration(facts_->bins)}) +
            html_table({"confidence", "accuracy", "examples"}, rows));
  }

  void add_pictures_of_the_model() {
    if (!are_images(input_.info)) return;
    const FirstLayer first = first_layer(input_, most_tiles);
    if (first.tiles.defined()) {
      const int64_t zoom = std::max<int64_t>(1, tile_side / first.tiles.size(2));
      section("First layer",
              "<p class=\"note\">Its filters, each from its least weight (black) to "
              "its greatest (white).</p>\n" +
                  keep("filters", mosaic(first.tiles, 6, zoom, grey, 8, 2)));
    } else if (!first.note.empty()) {
      section("First layer", "<p class=\"note\">" + escape_html(first.note) + "</p>\n");
    }
    const Tensor example = input_.data->get(0)[0];
    const Tensor maps = feature_maps(input_, most_tiles);
    if (!maps.defined()) return;
    const int64_t zoom = std::max<int64_t>(1, tile_side / maps.size(2));
    section("Feature maps",
            fmt::format("<p class=\"note\">What the first convolution makes of the first {} "
                        "example.</p>\n",
                        input_.run.part) +
                keep("example", mosaic(expand_dims(example, 0), 1, 3)) + "<br>" +
                keep("feature_maps", mosaic(maps, 8, zoom, grey, 8, 2)));
  }

  void add_layers() {
    const ModelSummary summary = summarize(input_.model, example_inputs(input_, 0));
    std::vector<HtmlRow> rows;
    for (const LayerSummary& layer : summary.layers) {
      const bool ran = layer.ran();
      rows.push_back(
          {layer.path.empty() ? "model" : layer.path, layer.type,
           ran ? to_string(layer.outputs) : "not run", std::to_string(layer.parameters),
           ran ? fmt::format("{:.3f} ms", 1e3 * layer.seconds) : "",
           ran ? fmt::format("{:.1f} KB", static_cast<double>(layer.output_bytes()) / 1024) : ""});
    }
    section("Layers",
            "<p class=\"note\">Forward pass of one example; times are the least of three.</p>\n" +
                html_table({"layer", "type", "output", "parameters", "time", "memory"}, rows));
  }

  fs::path figures_;
  fs::path folder_;
  const ReportInput& input_;
  RunOrigin origin_;
  std::optional<ClassifierFacts> facts_;
  std::string body_;
  WrittenReport written_;
  bool without_gnuplot_ = false;
};

}  // namespace

WrittenReport write_report(const fs::path& folder, const ReportInput& input,
                           const std::vector<std::string>& earlier) {
  return Report(folder, input).write(earlier);
}

}  // namespace taper
