// What the programs take from the command line: NAME [EPOCHS [EXAMPLES]].
#pragma once

#include <cstdlib>

struct Arguments {
  int64_t epochs;
  int64_t examples;  // of the training data; 0: all

  Arguments(int argc, char** argv, int64_t usual_epochs)
      : epochs(argc > 1 ? std::atoll(argv[1]) : usual_epochs),
        examples(argc > 2 ? std::atoll(argv[2]) : 0) {}
};
