import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { CommandIDs } from '../commands';
import { DOMAIN } from '../components/translation';
import { IGuardrails, IGuardrailsPanel } from '../tokens';

/** Cards where people begin: approved data for everybody, and for reviewers what waits for their word. */
export const launcherPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-guardrails:launcher',
  description: 'Cards in the launcher: approved data, and review for reviewers.',
  autoStart: true,
  requires: [IGuardrails, IGuardrailsPanel],
  optional: [ILauncher, ITranslator],
  activate: (
    _app: JupyterFrontEnd,
    { quotas }: IGuardrails,
    _panel: IGuardrailsPanel,
    launcher: ILauncher | null,
    translator: ITranslator | null
  ): void => {
    if (!launcher) {
      return; // Notebook 7 has none
    }
    const category = (translator ?? nullTranslator).load(DOMAIN).__('Guardrails');
    launcher.add({ command: CommandIDs.open, args: { section: 'datasets' }, category, rank: 0 });
    const addReview = (): void => {
      if (quotas.me?.roles.includes('reviewer')) {
        quotas.stateChanged.disconnect(addReview);
        launcher.add({ command: CommandIDs.openReview, category, rank: 1 });
      }
    };
    quotas.stateChanged.connect(addReview);
  }
};
