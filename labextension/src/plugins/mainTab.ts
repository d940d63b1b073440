import { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { Widget } from '@lumino/widgets';

import { shieldIcon } from '../icons';

export interface IMainTabOptions<T extends Widget> {
  id: string;
  /** What stands in its head. */
  label: string;
  /** What it is, for screen readers. */
  name: string;
  /** What it shows; called when it is opened. */
  content: () => Promise<T>;
  /** Not the main area in Notebook 7: that holds its one document, and its lower area opens without a height. */
  area: 'main' | 'right';
}

/** A tab that is there once or not at all, and whose code is loaded when it is first opened. */
export class MainTab<T extends Widget> {
  constructor(
    private readonly shell: JupyterFrontEnd.IShell,
    private readonly tracker: WidgetTracker<MainAreaWidget<T>>,
    private readonly options: IMainTabOptions<T>
  ) {}

  /** Bring it to the front; made if it isn't there. */
  async open(): Promise<MainAreaWidget<T>> {
    const widget =
      this.tracker.currentWidget ?? (await (this.adding ??= this.add().finally(() => (this.adding = null))));
    this.shell.activateById(widget.id);
    return widget;
  }

  private async add(): Promise<MainAreaWidget<T>> {
    const { id, label, name, area } = this.options;
    const content = await this.options.content();
    const widget = new MainAreaWidget({ content });
    content.node.setAttribute('aria-label', name); // it was given "main area content"
    widget.id = id;
    widget.title.label = label;
    widget.title.icon = shieldIcon;
    widget.title.closable = true;
    widget.toolbar.hide(); // it has nothing in it
    await this.tracker.add(widget);
    this.shell.add(widget, area, { type: label });
    return widget;
  }

  private adding: Promise<MainAreaWidget<T>> | null = null; // two clicks make one
}
