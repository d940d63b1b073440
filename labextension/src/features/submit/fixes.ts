import type { TranslationBundle } from '@jupyterlab/translation';

import type { Finding } from '../../api/generated/openapi';
import { IFix } from '../../components/Checklist';
import { INotebooks } from '../../state/notebooks';
import { SubmissionModel } from '../../state/submissionModel';
import { canAsk } from './DataSection';

export interface IFixing {
  model: SubmissionModel;
  notebooks: INotebooks;
  trans: TranslationBundle;
}

/** The fix that a finding offers, as a button: carried out in its notebook, which is opened if need be. Nothing is saved by it. */
export function fixOf({ offer, cell, line }: Finding, path: string, { model, notebooks, trans }: IFixing): IFix | null {
  const { old, new: fresh, tag, requirement, package: name, dataset } = offer ?? {};
  const at = typeof cell === 'number' ? cell : null;
  switch (offer?.do) {
    case 'clear_outputs':
      return at === null ? null : { label: trans.__('Clear its outputs'), run: () => void notebooks.clear(path, at) };
    case 'tag':
      return at === null || !tag
        ? null
        : { label: trans.__('Tag it “%1”', tag), run: () => void notebooks.tag(path, at, tag) };
    case 'replace':
      return at === null || !old || typeof fresh !== 'string' || typeof line !== 'number'
        ? null
        : {
            label: trans.__('Write %1', fresh),
            run: () => void notebooks.replace(path, { cell: at, line, old, fresh })
          };
    case 'run_all':
      return { label: trans.__('Restart and run all cells…'), run: () => void notebooks.runAll(path), whole: true };
    case 'install':
      return requirement
        ? {
            label: trans.__('Insert %1', `%pip install ${requirement}`),
            run: () => void notebooks.insert(`%pip install ${requirement}`)
          }
        : null;
    case 'request_package':
      return name ? { label: trans.__('Ask for %1…', name), run: () => void (model.packages.asking = name) } : null;
    case 'request':
      return dataset && canAsk(model.data.of(dataset, model.shown?.person ?? ''))
        ? { label: trans.__('Request access to %1…', dataset), run: () => void (model.data.asking = dataset) }
        : null;
    default:
      return null;
  }
}
