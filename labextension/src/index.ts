import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { changesPlugin } from './plugins/changes';
import { adminPlugin } from './plugins/admin';
import { commandsPlugin } from './plugins/commands';
import { launcherPlugin } from './plugins/launcher';
import { modelsPlugin } from './plugins/models';
import { noticesPlugin } from './plugins/notices';
import { panelPlugin } from './plugins/panel';
import { restartsPlugin } from './plugins/restarts';
import { reviewPlugin } from './plugins/review';
import { statusbarPlugin } from './plugins/statusbar';
import { toolbarPlugin } from './plugins/toolbar';

export * from './tokens';

/** One plugin a capability: an admin can switch each off without the others. */
const plugins: JupyterFrontEndPlugin<unknown>[] = [
  modelsPlugin,
  panelPlugin,
  commandsPlugin,
  adminPlugin,
  launcherPlugin,
  toolbarPlugin,
  statusbarPlugin,
  noticesPlugin,
  changesPlugin,
  restartsPlugin,
  reviewPlugin
];

export default plugins;
