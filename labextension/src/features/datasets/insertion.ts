import type { TranslationBundle } from '@jupyterlab/translation';

import type { DatasetDetail } from '../../api/generated/openapi';
import { DatasetModel } from '../../state/datasetModel';
import { INotebooks } from '../../state/notebooks';
import { languageOf, snippetFor } from '../../state/snippets';

/** Names of languages as people write them. */
function titleOf(language: string): string {
  return language === 'sql' ? 'SQL' : language.charAt(0).toUpperCase() + language.slice(1);
}

/** Why there is nothing to insert: the details could not be read, or no code fits the notebook. */
export function whyNoCode(
  detail: DatasetDetail | null,
  language: string | null,
  model: DatasetModel,
  name: string,
  trans: TranslationBundle
): string {
  const offered = [...new Set(Object.keys(detail?.snippets ?? {}).map(languageOf))].map(titleOf);
  if (!detail) {
    return model.detail(name)?.error?.message ?? trans.__('Its details are not here yet: try it again.');
  }
  return language === null || offered.length === 0
    ? trans.__('There is no code for this dataset.')
    : trans.__('This notebook speaks %1. There is code for %2.', titleOf(language), offered.join(', '));
}

/** Insert code that opens a dataset below the selected cell; why not, or nothing where that was done. */
export async function insertDataset(
  name: string,
  model: DatasetModel,
  notebooks: INotebooks,
  trans: TranslationBundle
): Promise<string> {
  const detail = model.detail(name)?.value ?? (await model.open(name));
  const { language } = notebooks;
  const snippet = detail && snippetFor(detail.snippets, language, model.library);
  if (!snippet) {
    return whyNoCode(detail, language, model, name, trans);
  }
  return notebooks.insert(snippet.code) ? '' : trans.__('This notebook is read-only.');
}
