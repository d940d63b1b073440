import { ILabShell, ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { CommandIDs } from '../commands';
import { DOMAIN } from '../components/translation';
import { shieldIcon } from '../icons';
import type { ReviewTab } from '../reviewTab';
import { followChanges } from '../state/changes';
import { IGuardrails } from '../tokens';
import { MainTab } from './mainTab';

const ID = 'jupyter-guardrails-review';

/** The Review tab: what waits for this person's word, with all that they need to give it elsewhere. */
export const reviewPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-guardrails:review',
  description: 'The Review tab: what waits for a decision, with its evidence.',
  autoStart: true,
  requires: [IGuardrails],
  optional: [ITranslator, ILabShell, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    { datasets, quotas }: IGuardrails,
    translator: ITranslator | null,
    labShell: ILabShell | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const tracker = new WidgetTracker<MainAreaWidget<ReviewTab>>({ namespace: 'guardrails-review' });
    const tab = new MainTab(app.shell, tracker, {
      id: ID,
      label: trans.__('Review'),
      name: trans.__('Review'),
      content: async () => {
        const { makeReviewTab } = await import(/* webpackChunkName: "tabs" */ '../tabs'); // who opens none doesn't load it
        const content = makeReviewTab(app.serviceManager.serverSettings, datasets, trans);
        const shown = ['review', 'decisions'].map(topic => [topic, [content.model]] as const);
        const following = followChanges(app.serviceManager.events.stream, new Map(shown));
        content.disposed.connect(() => following.dispose());
        return content;
      },
      area: labShell ? 'main' : 'right'
    });
    // what is looked at comes back with the layout
    tracker.widgetAdded.connect((_, widget) => {
      const { model } = widget.content;
      let kept = model.selected;
      model.stateChanged.connect(() => {
        if (kept !== model.selected) {
          kept = model.selected;
          void tracker.save(widget);
        }
      });
    });
    const open = async (item: unknown): Promise<void> => {
      const { model } = (await tab.open()).content;
      if (typeof item === 'string') {
        await model.select(item);
      }
    };
    app.commands.addCommand(CommandIDs.openReview, {
      label: () =>
        quotas.me?.roles.includes('reviewer') === false
          ? trans.__('Open Review (you are no reviewer of jobs)')
          : trans.__('Open Review'),
      caption: trans.__('What waits for your word: jobs, published data, requests'),
      icon: shieldIcon,
      describedBy: { args: { type: 'object', properties: { item: { type: 'string' } } } },
      execute: args => open(args.item)
    });
    palette?.addItem({ command: CommandIDs.openReview, category: trans.__('Guardrails') });
    if (restorer) {
      void restorer.restore(tracker, {
        command: CommandIDs.openReview,
        args: ({ content: { model } }) => (model.selected ? { item: model.selected } : {}),
        name: () => 'review'
      });
    }
  }
};
