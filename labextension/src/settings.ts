import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal } from '@lumino/signaling';

/** Which notices stand above a notebook; the panel has them all. */
export type NoticeChoice = 'all' | 'ending' | 'none';

/** When the panel opens by itself. */
export type OpenChoice = 'first' | 'always' | 'never';

/** What schema/panel.json says. */
export interface IPanelSettings {
  pollSeconds: number;
  library: string;
  notices: NoticeChoice;
  open: OpenChoice;
  introduction: boolean;
}

/** What holds where nothing else is set: the defaults of schema/panel.json. */
export const DEFAULTS: Readonly<IPanelSettings> = {
  pollSeconds: 3,
  library: 'pandas',
  notices: 'all',
  open: 'first',
  introduction: true
};

interface IFault {
  instancePath?: string;
  message?: string;
}

/** Why settings could not be read, in one line: which one, and what is wrong with it. */
export function faultOf(reason: unknown): string {
  const faults: IFault[] = Array.isArray(reason) ? (reason as IFault[]) : [{ message: String(reason) }];
  const said = faults.map(({ instancePath = '', message = '' }) => [instancePath.slice(1), message].filter(Boolean));
  return said.map(parts => parts.join(' ')).join('; ');
}

/** The settings of the panel as they are now. */
export class PanelSettings {
  /** Emitted when one of them changes. */
  readonly changed = new Signal<this, void>(this);

  get values(): Readonly<IPanelSettings> {
    return this._values;
  }

  /** Read them and follow changes. Throws what JupyterLab found wrong with them; the defaults hold then. */
  async follow(registry: ISettingRegistry, plugin: string): Promise<void> {
    const settings = await registry.load(plugin);
    this._save = (name, value) => settings.set(name, value);
    const apply = (): void => {
      this._values = { ...DEFAULTS, ...(settings.composite as Partial<IPanelSettings>) };
      this.changed.emit();
    };
    settings.changed.connect(apply);
    apply();
  }

  /** The person has read what the panel is for: never again, on any of this server's pages. */
  async introduced(): Promise<void> {
    this._values = { ...this._values, introduction: false };
    this.changed.emit();
    await this._save?.('introduction', false);
  }

  /** The person has chosen what code is written with. */
  async remember(library: string): Promise<void> {
    this._values = { ...this._values, library };
    await this._save?.('library', library);
  }

  private _values: Readonly<IPanelSettings> = { ...DEFAULTS, introduction: false };
  private _save: ((name: keyof IPanelSettings, value: boolean | string) => Promise<void>) | null = null;
}
