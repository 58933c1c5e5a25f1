/* The keys by which one brick's weights learn at their own pace: factors of the run's learning rate and
 * weight decay, as lr_mult and decay_mult in Caffe. Every layer with weights has them; net.c reads them, the
 * trainer follows them. */
#include "layers/layer.h"

const struct param learning_params[] = {
    {"lr", PARAM_NUMBER, offsetof(struct learning, lr), "1", 0, 1000, NULL,
     "factor of the learning rate; 0: the weights stay as they are"},
    {"bias_lr", PARAM_NUMBER, offsetof(struct learning, bias_lr), "1", 0, 1000, NULL,
     "a further factor, of the biases' learning rate"},
    {"decay", PARAM_NUMBER, offsetof(struct learning, decay), "1", 0, 1000, NULL,
     "factor of the weight decay; 0: none here"},
    {0}};
