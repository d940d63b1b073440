import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { DOMAIN } from '../components/translation';
import { NotebookBar } from '../notebookBar';
import { IGuardrails, IGuardrailsPanel } from '../tokens';

/** The event of server/events/notice.yaml: only a hint to read again, since anyone may send it. */
const EVENT = 'https://guardrails.example.com/events/notice';

/** Limits that come near and data that was refused, above the notebook that they concern, as soon as the server says so. */
export const noticesPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-guardrails:notices',
  description: 'Notices of limits above the notebook that they concern.',
  autoStart: true,
  requires: [IGuardrails, IGuardrailsPanel, INotebookTracker],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    { quotas, datasets, notebooks, settings }: IGuardrails,
    guardrails: IGuardrailsPanel,
    tracker: INotebookTracker,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const { contents, events } = app.serviceManager;
    tracker.widgetAdded.connect((_, panel) => {
      const path = (): string => contents.localPath(panel.context.path);
      const onMore = (): void => guardrails.show('limits');
      panel.contentHeader.addWidget(
        new NotebookBar({ model: quotas, datasets, notebooks, settings, panel, path, trans, onMore })
      );
    });
    events.stream.connect((_, event) => {
      if (event.schema_id === EVENT) {
        void quotas.refresh();
      }
    });
  }
};
