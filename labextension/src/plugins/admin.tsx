import { ILabShell, ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { AdminTab } from '../adminTab';
import { CommandIDs } from '../commands';
import { DOMAIN } from '../components/translation';
import { shieldIcon } from '../icons';
import { MainTab } from './mainTab';

const ID = 'jupyter-guardrails-admin';

/** The Admin tab: use by person, the policy, and what this machine enforces. */
export const adminPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-guardrails:admin',
  description: 'The Admin tab: use by person, the policy, what is enforced where.',
  autoStart: true,
  optional: [ITranslator, ILabShell, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    labShell: ILabShell | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const tracker = new WidgetTracker<MainAreaWidget<AdminTab>>({ namespace: 'guardrails-admin' });
    const { commands, shell, serviceManager } = app;
    const review = (): void => void commands.execute(CommandIDs.openReview);
    const tab = new MainTab(shell, tracker, {
      id: ID,
      label: trans.__('Use and Policy'),
      name: trans.__('Use, policy and host'),
      content: async () => {
        const { makeAdminTab } = await import(/* webpackChunkName: "tabs" */ '../tabs');
        const onReview = commands.hasCommand(CommandIDs.openReview) ? review : undefined;
        return makeAdminTab(serviceManager.serverSettings, trans, onReview);
      },
      area: labShell ? 'main' : 'right'
    });
    commands.addCommand(CommandIDs.openAdmin, {
      label: trans.__('Open Use and Policy'),
      caption: trans.__('What was used, by whom, the policy in force, and what this machine enforces'),
      icon: shieldIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => {
        await tab.open();
      }
    });
    palette?.addItem({ command: CommandIDs.openAdmin, category: trans.__('Guardrails') });
    if (restorer) {
      void restorer.restore(tracker, { command: CommandIDs.openAdmin, name: () => 'admin' });
    }
  }
};
