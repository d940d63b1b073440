import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { modelsPlugin } from './plugins/models';
import { noticesPlugin } from './plugins/notices';
import { panelPlugin } from './plugins/panel';
import { restartsPlugin } from './plugins/restarts';
import { statusbarPlugin } from './plugins/statusbar';
import { toolbarPlugin } from './plugins/toolbar';

export * from './tokens';

/** One plugin a capability: an admin can switch each off without the others. */
const plugins: JupyterFrontEndPlugin<unknown>[] = [
  modelsPlugin,
  panelPlugin,
  toolbarPlugin,
  statusbarPlugin,
  noticesPlugin,
  restartsPlugin
];

export default plugins;
