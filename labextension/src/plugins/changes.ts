import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';

import { followChanges } from '../state/changes';
import { IGuardrails } from '../tokens';

/** What reviewers, owners and operators do shows in the panel within seconds. */
export const changesPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-guardrails:changes',
  description: 'Reads again what others have changed, as soon as the server says so.',
  autoStart: true,
  requires: [IGuardrails],
  activate: (app: JupyterFrontEnd, { quotas, submissions, datasets }: IGuardrails): void => {
    const followed = new Map([
      ['submissions', [submissions]],
      ['requests', [submissions, datasets, quotas]],
      ['decisions', [datasets]]
    ]);
    followChanges(app.serviceManager.events.stream, followed);
  }
};
