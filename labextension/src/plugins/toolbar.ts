import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { Submission } from '../api/generated/openapi';
import { CommandIDs } from '../commands';
import { DOMAIN } from '../components/translation';
import { send } from '../features/submit/sending';
import { shieldIcon } from '../icons';
import { IGuardrails, IGuardrailsPanel } from '../tokens';

/** The notebook toolbar's Submit button (placed by schema/toolbar.json), and a word when checks end unseen. */
export const toolbarPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-guardrails:toolbar',
  description: 'Submit for production, from the toolbar of a notebook.',
  autoStart: true,
  requires: [IGuardrails, IGuardrailsPanel],
  optional: [ITranslator, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    { submissions, notebooks }: IGuardrails,
    panel: IGuardrailsPanel,
    translator: ITranslator | null,
    palette: ICommandPalette | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    app.commands.addCommand(CommandIDs.submit, {
      label: trans.__('Check and Submit for Production…'),
      caption: trans.__('Check this notebook for production; you submit it in the panel'),
      icon: shieldIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      isEnabled: () => notebooks.path !== null,
      execute: async () => {
        panel.show('submit');
        if (notebooks.path !== null) {
          await send(notebooks.path, { model: submissions, notebooks, trans }, { draft: true });
        }
      }
    });
    notebooks.changed.connect(() => app.commands.notifyCommandChanged(CommandIDs.submit));
    palette?.addItem({ command: CommandIDs.submit, category: trans.__('Guardrails') });
    submissions.finished.connect((_, submission: Submission) => {
      if (!panel.isVisible || panel.section !== 'submit') {
        const show = { label: trans.__('Show'), callback: () => showOne(panel, submission.id) };
        Notification.info(`${submission.name}: ${submission.label}`, { actions: [show], autoClose: 8000 });
      }
    });
    function showOne(target: IGuardrailsPanel, id: string): void {
      submissions.select(id);
      target.show('submit');
    }
  }
};
