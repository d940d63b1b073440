import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISessionContextDialogs, SessionContextDialogs } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { GuardrailsApi } from '../api/client';
import { PanelSettings } from '../settings';
import { DatasetModel } from '../state/datasetModel';
import { Notebooks } from '../state/notebooks';
import { QuotaModel } from '../state/quotaModel';
import { SubmissionModel } from '../state/submissionModel';
import { IGuardrails } from '../tokens';

/** The models that the other plugins share. */
export const modelsPlugin: JupyterFrontEndPlugin<IGuardrails> = {
  id: 'jupyter-guardrails:models',
  description: 'Reads limits, approved datasets and submissions from the server.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ITranslator, ISessionContextDialogs],
  provides: IGuardrails,
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    dialogs: ISessionContextDialogs | null
  ): IGuardrails => {
    const api = new GuardrailsApi(app.serviceManager.serverSettings);
    const notebooks = new Notebooks({
      tracker,
      dialogs: dialogs ?? new SessionContextDialogs({ translator: translator ?? nullTranslator }),
      contents: app.serviceManager.contents,
      open: async path => {
        await app.commands.execute('docmanager:open', { path });
      },
      runAll: async () => {
        await app.commands.execute('notebook:restart-run-all');
      }
    });
    const models = {
      quotas: new QuotaModel(api),
      datasets: new DatasetModel(api),
      submissions: new SubmissionModel(api),
      notebooks,
      settings: new PanelSettings()
    };
    let busy = false;
    const follow = (): void => {
      if (busy && !notebooks.busy) {
        models.datasets.afterCell();
      }
      busy = notebooks.busy;
      models.quotas.setCurrentKernel(notebooks.kernelId, notebooks.busy, notebooks.path);
      models.submissions.notebook = notebooks.path;
    };
    notebooks.changed.connect(follow);
    // what JupyterLab needs to be ready comes first
    void app.restored.then(() => {
      follow();
      models.quotas.start();
      models.datasets.start();
      models.submissions.start();
    });
    return models;
  }
};
