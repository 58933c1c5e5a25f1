/* What the files of this folder share. The functions themselves are public: see cnn.h. */
#ifndef CNN_SEE_SEE_H
#define CNN_SEE_SEE_H

#include "cnn.h"

enum { GAP = 4 /* pixels between tiles, and around them */ };

/* "3x5x5 ..." for a message: CNN_E_SHAPE where t is not one image of `channels` (0: 1 or 3). */
cnn_status see_check_image(cnn_tensor t, const char *what);

#endif
