/* Inside model*.c only: caches other than Hugging Face's. */
#ifndef GUARD_MODEL_CACHE_H
#define GUARD_MODEL_CACHE_H

#include "model.h"

/* Fills id, revision and inside from the absolute `path` without ".."; false, and empty, when it lies in no such cache:
 *
 *   torch.hub   .../torch/hub/OWNER_REPO_REF/FILE               torchhub:OWNER/REPO, revision REF
 *               .../hub/checkpoints/FILE                        torchhub:checkpoints/FILE
 *   Keras       .keras/models/FILE                              keras:FILE
 *   Kaggle      kagglehub/models/OWNER/MODEL/FRAMEWORK/VARIATION/VERSION/FILE
 *                                                               kaggle:OWNER/MODEL/FRAMEWORK/VARIATION,
 *                                                               revision VERSION
 *   ModelScope  modelscope/hub/[models/]ORG/NAME/FILE           ms:ORG/NAME
 *   MLflow      mlruns/EXPERIMENT/RUN/artifacts/NAME/FILE       mlflow:RUN/NAME
 *               .../models/m-ID/artifacts/FILE                  mlflow:m-ID */
bool model_cache_identify(const char *path, struct model_identity *identity);

#endif
