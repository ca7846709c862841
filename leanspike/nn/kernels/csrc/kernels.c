/* leanspike's hot loops as one translation unit, built once for each instruction set and loaded with ctypes.
   No dependency but libc; threads are the OpenMP runtime that torch has loaded already (see core/native.py). */
#include "adaptive.h"
#include "bits.h"
#include "chain.h"
#include "conv.h"
#include "conv_backward.h"
#include "gather.h"
#include "gemm.h"
#include "level.h"
#include "lif.h"
#include "lists.h"
#include "spiking.h"
#include "spiking_backward.h"
