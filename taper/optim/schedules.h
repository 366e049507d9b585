// The schedules, with PyTorch's names and defaults, and what moves an optimizer along them.
#pragma once

#include <taper/optim/lr_scheduler.h>
#include <taper/optim/one_cycle.h>
#include <taper/optim/plateau.h>
#include <taper/optim/schedule.h>
