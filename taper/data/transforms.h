// The transforms, a file each.
#pragma once

#include <taper/data/transforms/random_crop.h>
#include <taper/data/transforms/random_horizontal_flip.h>
#include <taper/data/transforms/random_rotation.h>
