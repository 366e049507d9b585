#include <taper/train/report.h>

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <system_error>

#include <taper/core/error.h>
#include <taper/io/files.h>
#include <taper/io/images.h>
#include <taper/ops/ops.h>
#include <taper/train/checkpoint.h>
#include <taper/train/gnuplot.h>
#include <taper/train/mosaic.h>
#include <taper/train/report_data.h>
#include <taper/train/summary.h>

namespace taper {
namespace {

namespace fs = std::filesystem;

constexpr size_t most_mistakes = 24;
constexpr int64_t most_tiles = 64;
constexpr size_t most_classes_drawn = 30;
constexpr size_t largest_figure = size_t{8} << 20;

constexpr const char* no_gnuplot = "gnuplot is missing or failed: the report has no curves";

constexpr const char* style = R"(
body { font: 15px/1.5 system-ui, Helvetica, Arial, sans-serif; color: #222; max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: 0; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
p.note { color: #666; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .8rem; text-align: right; border-bottom: 1px solid #eee; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
img { max-width: 100%; }
img.pixels { image-rendering: pixelated; }
div.grid { display: flex; flex-wrap: wrap; gap: .8rem; }
figure { margin: 0; width: 6.6rem; font-size: .78rem; line-height: 1.3; }
figure img { width: 100%; }
@media print { h2 { break-after: avoid; } figure, table, img { break-inside: avoid; } }
)";

std::string escape(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

std::string image(std::string_view bytes, const char* kind, std::string_view alternative) {
  const bool pixels = std::string_view(kind) == "png";
  return fmt::format("<img {}src=\"data:image/{};base64,{}\" alt=\"{}\">",
                     pixels ? "class=\"pixels\" " : "", kind, base64(bytes), escape(alternative));
}

using Row = std::vector<std::string>;

std::string table(const Row& head, const std::vector<Row>& rows) {
  std::string html = "<table>\n";
  const auto add = [&](const Row& row, const char* tag) {
    html += "<tr>";
    for (const std::string& cell : row) {
      html += fmt::format("<{0}>{1}</{0}>", tag, escape(cell));
    }
    html += "</tr>\n";
  };
  if (!head.empty()) add(head, "th");
  for (const Row& row : rows) add(row, "td");
  return html + "</table>\n";
}

/// Puts the sections together.
class Report {
 public:
  Report(fs::path folder, const ReportInput& input)
      : figures_(folder / "figures"), folder_(std::move(folder)), input_(input) {}

  WrittenReport write() {
    std::error_code error;
    for (const std::string_view name : report_files) fs::remove(folder_ / name, error);
    make_folder(figures_, error);
    remove_cut_files(figures_);
    if (error) fail(ErrorKind::io, figures_.string() + ": " + error.message());
    facts_ = classifier_facts(input_, most_mistakes);
    add_facts();
    add_curves();
    add_classes();
    add_mistakes();
    add_calibration();
    add_pictures_of_the_model();
    add_layers();
    if (without_gnuplot_) body_ += "<p class=\"note\">" + std::string(no_gnuplot) + ".</p>\n";
    const std::string title = escape(input_.info.data + ": " + input_.info.name);
    write_file_atomically(folder_ / "report.html",
                          "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                          "<title>" +
                              title + "</title>\n<style>" + style +
                              "</style>\n</head>\n"
                              "<body>\n<h1>" +
                              title + "</h1>\n" + body_ + "</body>\n</html>\n");
    written_.files.emplace_back("report.html");
    if (without_gnuplot_) written_.remark = no_gnuplot;
    return written_;
  }

 private:
  void section(const std::string& title, const std::string& html) {
    if (!html.empty()) body_ += "<h2>" + escape(title) + "</h2>\n" + html + "\n";
  }

  /// The drawing as HTML; empty if gnuplot does not draw.
  std::string draw(const char* name, const std::string& script, int width, int height) {
    const fs::path file = figures_ / (std::string(name) + ".svg");
    if (without_gnuplot_ || !draw_with_gnuplot(script, width, height, file)) {
      without_gnuplot_ = true;
      return {};
    }
    written_.files.push_back("figures/" + file.filename().string());
    return image(read_file(file, largest_figure), "svg+xml", name);
  }

  std::string keep(const char* name, const Tensor& picture) {
    const std::string png = encode_png(picture);
    write_file_atomically(figures_ / (std::string(name) + ".png"), png);
    written_.files.push_back("figures/" + std::string(name) + ".png");
    return image(png, "png", name);
  }

  void add_facts() {
    const RunReport& run = input_.run;
    double seconds = 0;
    for (const double epoch : run.epoch_seconds) seconds += epoch;
    const Environment here = this_environment();
    std::vector<Row> rows{{"test loss", fmt::format("{:.4f}", input_.test.loss)}};
    for (const auto& [name, value] : input_.test.metrics) {
      rows.push_back({"test " + name, fmt::format("{:.4f}", value)});
    }
    rows.push_back({"test examples", std::to_string(input_.test.examples)});
    rows.push_back({"parameters", std::to_string(input_.model.num_parameters())});
    rows.push_back({"epochs", std::to_string(run.epochs)});
    rows.push_back({"batch size", std::to_string(run.batch_size)});
    rows.push_back({"learning rate", print_real(run.lr)});
    rows.push_back({"seed", std::to_string(run.seed)});
    rows.push_back({"time of the epochs", fmt::format("{:.1f} s", seconds)});
    rows.push_back({"peak memory", fmt::format("{:.0f} MB", run.peak_memory_mb)});
    rows.push_back({"processor", here.cpu + ", " + std::to_string(here.threads) + " threads"});
    rows.push_back({"made by", here.build});
    if (!input_.command.empty()) rows.push_back({"command", input_.command});
    section("The run", table({}, rows));
  }

  /// The losses, and beside them what else was measured of training and validation.
  void add_curves() {
    if (input_.history.epochs() == 0) return;
    std::vector<Row> rows;
    std::string plots;
    for (const std::string& name : input_.history.names()) {
      if (name == "epoch_seconds" || name.starts_with(validation_prefix)) continue;
      const std::string validated = std::string(validation_prefix) + name;
      plots += fmt::format(
          "set title {}\nplot {}{}\n", gnuplot_string(name), curve(name, "training"),
          input_.history.has(validated) ? ", " + curve(validated, "validation") : std::string());
    }
    const size_t panels = static_cast<size_t>(std::count(plots.begin(), plots.end(), '\n')) / 2;
    const std::string drawn =
        draw("curves",
             data_blocks() +
                 fmt::format("set multiplot layout 1,{}\nset grid lc '#dddddd'"
                             "\nset xlabel 'epoch'\nset key below\n",
                             panels) +
                 plots + "unset multiplot",
             static_cast<int>(440 * panels), 330);
    Row head{"epoch"};
    for (const std::string& name : input_.history.names()) head.push_back(name);
    for (size_t epoch = 0; epoch < input_.history.epochs(); ++epoch) {
      Row row{std::to_string(epoch + 1)};
      for (const std::string& name : input_.history.names()) {
        row.push_back(fmt::format("{:.4f}", input_.history[name].at(epoch)));
      }
      rows.push_back(std::move(row));
    }
    section("Learning", drawn + table(head, rows));
  }

  std::string data_blocks() const {
    std::string text;
    const auto names = input_.history.names();
    for (size_t i = 0; i < names.size(); ++i) {
      text += fmt::format("$history{} << EOD\n", i);
      const auto& values = input_.history[names[i]];
      for (size_t epoch = 0; epoch < values.size(); ++epoch) {
        text += fmt::format("{} {}\n", epoch + 1, values[epoch]);
      }
      text += "EOD\n";
    }
    return text;
  }

  std::string curve(const std::string& name, const char* title) const {
    const auto names = input_.history.names();
    const auto place = std::ranges::find(names, name) - names.begin();
    const bool validation = name.starts_with(validation_prefix);
    return fmt::format("$history{} with linespoints lw 2 pt 7 ps 0.4 lc rgb '{}' title '{}'", place,
                       validation ? "#d95f02" : "#1b6ca8", title);
  }

  void add_classes() {
    if (!input_.test.confusion) return;
    const ConfusionMatrix& matrix = *input_.test.confusion;
    std::vector<Row> rows;
    const auto scores = matrix.scores();
    for (size_t i = 0; i < scores.size(); ++i) {
      rows.push_back({class_name(input_.test, i), fmt::format("{:.4f}", scores[i].precision),
                      fmt::format("{:.4f}", scores[i].recall), fmt::format("{:.4f}", scores[i].f1),
                      std::to_string(scores[i].support)});
    }
    section("Classes", table({"class", "precision", "recall", "F1", "examples"}, rows));
    if (scores.size() > most_classes_drawn) return;
    std::string tics;
    std::string cells = "$matrix << EOD\n";
    for (size_t i = 0; i < scores.size(); ++i) {
      tics +=
          (i > 0 ? ", " : "") + gnuplot_string(class_name(input_.test, i)) + fmt::format(" {}", i);
      for (size_t j = 0; j < scores.size(); ++j) {
        cells += fmt::format("{} {} {}\n", j, i,
                             matrix(static_cast<int64_t>(i), static_cast<int64_t>(j)));
      }
    }
    const int side = 220 + 52 * static_cast<int>(scores.size());
    section(
        "Confusion matrix",
        draw("confusion",
             cells + "EOD\nset xtics (" + tics + ") rotate by 40 right\nset ytics (" + tics +
                 ")\nset yrange [] reverse\nset xlabel 'predicted'\nset ylabel 'true'\n"
                 "set palette defined (0 'white', 1 '#1b6ca8')\nunset colorbox\nset size square\n"
                 "set tics scale 0\nunset key\n"
                 "plot $matrix with image pixels, $matrix using 1:2:(sprintf('%d', $3)) with "
                 "labels font ',10'",
             side, side));
  }

  void add_mistakes() {
    if (!facts_ || !are_images(input_.info) || facts_->mistakes.empty()) return;
    std::string html =
        "<p class=\"note\">The mistakes that the model was most certain of.</p>\n"
        "<div class=\"grid\">\n";
    std::vector<Tensor> tiles;
    for (const Mistake& mistake : facts_->mistakes) {
      const Tensor picture = to_picture(input_.data->get(mistake.example)[0], input_.info);
      tiles.push_back(mean(astype(picture, DType::f32), 0));
      html +=
          fmt::format("<figure>{}<figcaption>{}<br>taken for {} ({:.0f} %)</figcaption></figure>\n",
                      image(encode_png(picture), "png", "picture"),
                      escape(class_name(input_.test, static_cast<size_t>(mistake.truth))),
                      escape(class_name(input_.test, static_cast<size_t>(mistake.predicted))),
                      100 * mistake.probability);
    }
    keep("mistakes", mosaic(stack(tiles), 8, 2));
    section("Mistakes", html + "</div>\n");
  }

  void add_calibration() {
    if (!facts_) return;
    std::string bins = "$bins << EOD\n";
    std::vector<Row> rows;
    for (const CalibrationBin& bin : facts_->bins) {
      if (bin.examples == 0) continue;
      bins += fmt::format("{} {}\n", bin.confidence, bin.accuracy);
      rows.push_back({fmt::format("{:.3f}", bin.confidence), fmt::format("{:.3f}", bin.accuracy),
                      std::to_string(bin.examples)});
    }
    const std::string drawn =
        draw("calibration",
             bins +
                 "EOD\nset xrange [0:1]\nset yrange [0:1]\nset size square\nset grid lc '#dddddd'\n"
                 "set xlabel 'confidence'\nset ylabel 'accuracy'\nunset key\n"
                 "plot x lc rgb '#999999' dt 2, $bins with linespoints lw 2 pt 7 lc rgb '#1b6ca8'",
             380, 360);
    section(
        "Calibration",
        fmt::format("<p>Expected calibration error {:.4f}: the mean distance between how certain "
                    "the model is and how often it is right, over ten bins (Guo and others, "
                    "2017).</p>\n",
                    facts_->expected_calibration_error) +
            drawn + table({"confidence", "accuracy", "examples"}, rows));
  }

  void add_pictures_of_the_model() {
    if (!are_images(input_.info)) return;
    const Tensor filters = first_filters(input_, most_tiles);
    if (filters.defined()) {
      const int64_t zoom = std::max<int64_t>(1, 40 / filters.size(2));
      section("First layer",
              "<p class=\"note\">Its filters, each from its least weight (black) to "
              "its greatest (white).</p>\n" +
                  keep("filters", mosaic(filters, 16, zoom)));
    }
    const Tensor example = input_.data->get(0)[0];
    const Tensor maps = feature_maps(input_, example, most_tiles);
    if (!maps.defined()) return;
    section("Feature maps",
            "<p class=\"note\">What the first layer makes of the first test example.</p>\n" +
                keep("example", mosaic(mean(example, 0, true), 1, 3)) + "<br>" +
                keep("feature_maps", mosaic(maps, 8, std::max<int64_t>(1, 60 / maps.size(2)))));
  }

  void add_layers() {
    const ModelSummary summary = summarize(input_.model, expand_dims(input_.data->get(0)[0], 0));
    std::vector<Row> rows;
    for (const LayerSummary& layer : summary.layers) {
      const bool ran = layer.ran();
      rows.push_back(
          {layer.path.empty() ? "model" : layer.path, layer.type,
           ran ? to_string(layer.output) : "not run", std::to_string(layer.parameters),
           ran ? fmt::format("{:.3f} ms", 1e3 * layer.seconds) : "",
           ran ? fmt::format("{:.1f} KB", static_cast<double>(layer.output_bytes()) / 1024) : ""});
    }
    section("Layers",
            "<p class=\"note\">Forward pass of one example; times are the least of three.</p>\n" +
                table({"layer", "type", "output", "parameters", "time", "memory"}, rows));
  }

  fs::path figures_;
  fs::path folder_;
  const ReportInput& input_;
  std::optional<ClassifierFacts> facts_;
  std::string body_;
  WrittenReport written_;
  bool without_gnuplot_ = false;
};

}  // namespace

WrittenReport write_report(const fs::path& folder, const ReportInput& input) {
  return Report(folder, input).write();
}

}  // namespace taper
