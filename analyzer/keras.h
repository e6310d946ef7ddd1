/* Keras models as JSON: config.json of a .keras archive, the model_config attribute of an .h5 file, model.to_json(). */
#ifndef GUARD_KERAS_H
#define GUARD_KERAS_H

#include "format.h"

/* Analyses the JSON text `source` as Keras would load it. False when it is no object that Keras wrote and nothing was
 * reported. Reported, with the way to it as the field:
 *
 *   CODE    "keras-lambda": marshalled code; "keras-lambda-layer": a Lambda layer, which may name a function instead;
 *           "keras-tfsm-layer": a layer that loads a SavedModel; "keras-torch-module": a pickled PyTorch module, which
 *           is analysed too
 *   CALL    "module.name" of every class and function outside Keras, and within it of those that do more than make
 *           layers
 *   IMPORT  a function of the module "builtins", by which Keras also writes those that are registered under a name
 *   DEPEND  the SavedModel that a TFSMLayer loads
 *   READ    a vocabulary that is not in the file but at a path or URL */
bool keras_scan(struct scan *scan, const struct source *source);

#endif
