#include <taper/train/report/gnuplot.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <taper/core/error.h>
#include <taper/io/files.h>

namespace taper {
namespace {

namespace fs = std::filesystem;
constexpr unsigned int longest_seconds = 20;

/// Runs the script in its folder; an alarm set before the program starts ends it when it takes too
/// long.
bool run(const fs::path& script) {
  const std::string folder = script.has_parent_path() ? script.parent_path().string() : ".";
  const std::string name = script.filename().string();
  const pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) {
    const int null = open("/dev/null", O_RDWR);
    for (int stream = 0; stream < 3; ++stream) dup2(null, stream);
    setpgid(0, 0);  // Ctrl-C is the training's, whose report is drawn to its end
    alarm(longest_seconds);
    // Without the user's and the system's start-up files, which may turn axes or end the program.
    if (chdir(folder.c_str()) != 0) _exit(127);
    execlp("gnuplot", "gnuplot", "-d", name.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

std::string gnuplot_string(std::string_view text) {
  // Single quotes: in double ones gnuplot would run what stands in backquotes.
  std::string quoted = "'";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '\'') quoted += "'";
    quoted += code < ' ' || code == 0x7f ? ' ' : c;
  }
  return quoted + "'";
}

bool draw_with_gnuplot(const std::string& script, int width, int height, const fs::path& to) {
  const fs::path file = fs::path(to).replace_extension(".gp");
  const std::string head =
      "set terminal svg noenhanced size " + std::to_string(width) + "," + std::to_string(height) +
      " font 'Helvetica,12' background 'white'\nset output " +
      // Without the folder: a path that begins with | or ~ means something else to gnuplot.
      gnuplot_string("./" + to.filename().string()) + "\n";
  write_file_atomically(file, head + script + "\nset output\n");
  const bool drawn = run(file);
  std::error_code ignored;
  fs::remove(file, ignored);
  if (!drawn) fs::remove(to, ignored);
  return drawn;
}

}  // namespace taper
