import { ISessionContext, ISessionContextDialogs } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { Contents } from '@jupyterlab/services';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

type Cell = NotebookPanel['content']['widgets'][number];

/** One change of a line of a cell. */
export interface IChange {
  cell: number;
  line: number;
  old: string;
  fresh: string;
}

/** A notebook that something may be put into. */
export interface IPlace {
  /** The language of its kernel, as that calls it; null while none is known. */
  language: string | null;
  writable: boolean;
}

/** What the panel does with the notebook in front. */
export interface INotebooks {
  /** Path in the workspace; null without a notebook. */
  readonly path: string | null;
  readonly kernelId: string | null;
  /** Whether its kernel is running something. */
  readonly busy: boolean;
  /** The language of its kernel, as that calls it; null while none is known. */
  readonly language: string | null;
  /** The open notebook that a part of the page belongs to; null elsewhere. */
  at(part: Element): IPlace | null;
  /** Select the cell with this code, and no other, that was dropped into the notebook of a part of the page. */
  selectDropped(part: Element, code: string): void;
  /** Emitted when any of these changes. */
  readonly changed: ISignal<INotebooks, void>;
  save(): Promise<void>;
  /** The other notebooks of a notebook's folder, by name; rejects where the folder can't be read. */
  beside(path: string): Promise<string[]>;
  /** The code of the cells tagged `parameters`. */
  parameters(): string;
  /** Save every open notebook of a kernel; rejects where one can't be saved. */
  saveAll(kernelId: string): Promise<void>;
  /** Put code into a new cell below the selected one and select it; false when there is no notebook that can be written. */
  insert(code: string): boolean;
  /** Show a cell (counted from 0) of a notebook, which is opened if need be. */
  reveal(path: string, cell: number): Promise<void>;
  /** Remove the outputs of a cell. */
  clear(path: string, cell: number): Promise<void>;
  /** Give a cell a tag. */
  tag(path: string, cell: number, name: string): Promise<void>;
  /** Write something else on a line (counted from 1); nothing where the line has changed meanwhile. */
  replace(path: string, change: IChange): Promise<void>;
  /** Restart the kernel, after asking, and run every cell. */
  runAll(path: string): Promise<void>;
  /** Restart the kernel after asking; false when the person said no. */
  restart(): Promise<boolean>;
}

export interface INotebooksOptions {
  tracker: INotebookTracker;
  dialogs: ISessionContextDialogs;
  contents: Contents.IManager;
  /** Open a notebook by its path. */
  open: (path: string) => Promise<void>;
  /** Restart the kernel of the notebook in front, after asking, and run its cells. */
  runAll: () => Promise<void>;
}

/** The notebook in front of this JupyterLab. */
export class Notebooks implements INotebooks, IDisposable {
  constructor(private readonly options: INotebooksOptions) {
    options.tracker.currentChanged.connect(this.onCurrent, this);
    this.onCurrent();
  }

  get path(): string | null {
    const path = this._panel?.context.path;
    return path === undefined ? null : this.options.contents.localPath(path);
  }

  get kernelId(): string | null {
    return this._session?.session?.kernel?.id ?? null;
  }

  get busy(): boolean {
    return this._session?.session?.kernel?.status === 'busy';
  }

  get language(): string | null {
    return this._panel && languageOf(this._panel);
  }

  at(part: Element): IPlace | null {
    const panel = this.options.tracker.find(({ node }) => node.contains(part));
    return panel ? { language: languageOf(panel), writable: panel.model?.readOnly === false } : null;
  }

  selectDropped(part: Element, code: string): void {
    const notebook = this.options.tracker.find(({ node }) => node.contains(part))?.content;
    // JupyterLab 4.6 selects the cell above, too, and makes that the active one.
    const from = notebook?.activeCellIndex ?? 0;
    const index =
      notebook?.widgets.findIndex(({ model }, place) => place >= from && model.sharedModel.getSource() === code) ?? -1;
    if (notebook && index >= 0) {
      notebook.activeCellIndex = index;
      notebook.deselectAll();
    }
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  async save(): Promise<void> {
    const context = this._panel?.context;
    if (context?.model.dirty) {
      await context.save();
    }
  }

  async beside(path: string): Promise<string[]> {
    const folder = await this.options.contents.get(PathExt.dirname(path), { content: true });
    const entries = folder.content as Contents.IModel[];
    return entries
      .filter(entry => entry.type === 'notebook' && entry.path !== path)
      .map(entry => entry.path)
      .sort();
  }

  parameters(): string {
    const cells = this._panel?.content.widgets ?? [];
    const tagged = cells.filter(({ model }) => {
      const tags: unknown = model.getMetadata('tags');
      return Array.isArray(tags) && tags.includes('parameters');
    });
    return tagged.map(({ model }) => model.sharedModel.getSource()).join('\n');
  }

  async saveAll(kernelId: string): Promise<void> {
    const open: NotebookPanel[] = [];
    this.options.tracker.forEach(panel => void open.push(panel));
    const its = open.filter(
      panel => panel.sessionContext.session?.kernel?.id === kernelId && panel.context.model.dirty
    );
    await Promise.all(its.map(panel => panel.context.save()));
  }

  insert(code: string): boolean {
    const notebook = this._panel?.content;
    const model = notebook?.model;
    if (!notebook || !model || model.readOnly) {
      return false;
    }
    const index = notebook.activeCellIndex + 1;
    model.sharedModel.insertCell(index, { cell_type: 'code', source: code, metadata: { trusted: true } });
    notebook.activeCellIndex = index;
    notebook.deselectAll();
    this.show(notebook);
    return true;
  }

  async reveal(path: string, cell: number): Promise<void> {
    await this.cellAt(path, cell);
  }

  async clear(path: string, cell: number): Promise<void> {
    const shared = (await this.cellAt(path, cell))?.model.sharedModel;
    if (shared && 'setOutputs' in shared) {
      shared.setOutputs([]);
      shared.execution_count = null;
    }
  }

  async tag(path: string, cell: number, name: string): Promise<void> {
    const model = (await this.cellAt(path, cell))?.model;
    const tags: unknown = model?.getMetadata('tags');
    const kept: string[] = Array.isArray(tags) ? tags.map(String) : [];
    if (!kept.includes(name)) {
      model?.setMetadata('tags', [...kept, name]);
    }
  }

  async replace(path: string, { cell, line, old, fresh }: IChange): Promise<void> {
    const shared = (await this.cellAt(path, cell))?.model.sharedModel;
    const lines = shared?.getSource().split('\n') ?? [];
    const before = lines[line - 1];
    if (shared && before?.includes(old)) {
      lines[line - 1] = before.replace(old, () => fresh);
      shared.setSource(lines.join('\n'));
    }
  }

  async runAll(path: string): Promise<void> {
    if (await this.cellAt(path, 0)) {
      await this.options.runAll();
    }
  }

  /** A cell of a notebook, which is brought to the front with the cell selected; null where it is no more. */
  private async cellAt(path: string, cell: number): Promise<Cell | null> {
    const isWanted = (panel: NotebookPanel): boolean => this.options.contents.localPath(panel.context.path) === path;
    await this.options.open(path);
    const panel = this.options.tracker.find(isWanted);
    if (!panel) {
      return null;
    }
    await panel.revealed;
    const notebook = panel.content;
    notebook.activeCellIndex = Math.min(cell, notebook.widgets.length - 1);
    notebook.deselectAll();
    this.show(notebook);
    return notebook.widgets[cell] ?? null;
  }

  async restart(): Promise<boolean> {
    return this._session ? this.options.dialogs.restart(this._session) : false;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this.options.tracker.currentChanged.disconnect(this.onCurrent, this);
      Signal.clearData(this);
    }
  }

  private show(notebook: NotebookPanel['content']): void {
    const cell = notebook.activeCell;
    if (cell) {
      void notebook.scrollToCell(cell, 'smart').catch(() => undefined); // the cell was removed meanwhile
    }
  }

  private onCurrent(): void {
    this._panel?.context.pathChanged.disconnect(this.emit, this);
    this._session?.kernelChanged.disconnect(this.emit, this);
    this._session?.statusChanged.disconnect(this.emit, this);
    this._panel = this.options.tracker.currentWidget;
    this._session = this._panel?.sessionContext ?? null;
    this._panel?.context.pathChanged.connect(this.emit, this);
    this._session?.kernelChanged.connect(this.emit, this);
    this._session?.statusChanged.connect(this.emit, this);
    this.emit();
  }

  private emit(): void {
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _panel: NotebookPanel | null = null;
  private _session: ISessionContext | null = null;
  private _isDisposed = false;
}

function languageOf({ model }: NotebookPanel): string | null {
  const spec: unknown = model?.getMetadata('kernelspec');
  const named = typeof spec === 'object' && spec !== null && 'language' in spec ? String(spec.language) : '';
  return model?.defaultKernelLanguage || named || null;
}
