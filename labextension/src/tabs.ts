import type { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import { AdminTab } from './adminTab';
import { AdminApi } from './api/admin';
import { ReviewsApi } from './api/reviews';
import { ReviewTab } from './reviewTab';
import { AdminModel } from './state/adminModel';
import { DatasetModel } from './state/datasetModel';
import { ReviewModel } from './state/reviewModel';

/** The content of the Review tab. */
export function makeReviewTab(
  settings: ServerConnection.ISettings,
  datasets: DatasetModel,
  trans: TranslationBundle
): ReviewTab {
  const model = new ReviewModel(new ReviewsApi(settings));
  model.start();
  return new ReviewTab(model, datasets, trans);
}

/** The content of the tab with use and policy; `onReview` opens the Review tab, where there is one. */
export function makeAdminTab(
  settings: ServerConnection.ISettings,
  trans: TranslationBundle,
  onReview: (() => void) | undefined
): AdminTab {
  const model = new AdminModel(new AdminApi(settings));
  model.start();
  return new AdminTab(model, trans, onReview);
}
