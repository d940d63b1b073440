import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ISessionContext, showDialog } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { Kernel } from '@jupyterlab/services';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { DOMAIN } from '../components/translation';

/** Calls `told` with what a kernel's restart fails with; whoever asked for it still gets that, too. */
export function watchRestarts(context: ISessionContext, told: (error: unknown) => void): void {
  const watched = new WeakSet<Kernel.IKernelConnection>();
  const watch = (kernel: Kernel.IKernelConnection | null): void => {
    if (kernel === null || watched.has(kernel)) {
      return;
    }
    watched.add(kernel);
    const restart = kernel.restart.bind(kernel);
    kernel.restart = async (): Promise<void> => {
      try {
        await restart();
      } catch (error) {
        told(error);
        throw error;
      }
    };
  };
  watch(context.session?.kernel ?? null);
  context.kernelChanged.connect((_, { newValue }) => watch(newValue ?? null));
}

/**
 * Where a refused restart left no kernel, the notebook has none: running a cell or restarting then starts one.
 * JupyterLab would go on to show the last status, "Idle" or "Restarting".
 */
export async function leaveIfDead(context: ISessionContext, kernels: Kernel.IManager): Promise<void> {
  const id = context.session?.kernel?.id;
  if (id === undefined) {
    return;
  }
  await kernels.refreshRunning();
  const model = await kernels.findById(id);
  if (model?.execution_state === 'dead' && context.session?.kernel?.id === id) {
    await context.shutdown();
  }
}

/** JupyterLab writes it to the browser's console alone, and the notebook says "Restarting" for ever. */
export const restartsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-guardrails:restarts',
  description: 'Says why the kernel of a notebook was not restarted, and what to do.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, tracker: INotebookTracker, translator: ITranslator | null): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    tracker.widgetAdded.connect((_, { sessionContext }) => {
      watchRestarts(sessionContext, error => {
        const node = document.createElement('div');
        const said = node.appendChild(document.createElement('pre'));
        said.textContent = error instanceof Error ? error.message : String(error);
        const title = trans.__('The kernel could not be restarted');
        void showDialog({ title, body: new Widget({ node }), buttons: [Dialog.okButton()] });
        void leaveIfDead(sessionContext, app.serviceManager.kernels).catch(() => undefined); // the server is away: JupyterLab says so
      });
    });
  }
};
