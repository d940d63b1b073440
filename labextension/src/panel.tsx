import { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, SidePanel, UseSignal } from '@jupyterlab/ui-components';
import { MessageLoop } from '@lumino/messaging';
import { ISignal, Signal } from '@lumino/signaling';
import { StackedPanel, Widget } from '@lumino/widgets';
import React from 'react';

import { Introduction } from './components/Introduction';
import { keepFocus } from './components/keepFocus';
import { tabId, Tabs } from './components/Tabs';
import { DOMAIN } from './components/translation';
import { shieldIcon } from './icons';
import { PolledWidget } from './polledWidget';
import { PanelSettings } from './settings';
import { INotebooks } from './state/notebooks';
import { PollModel } from './state/pollModel';
import { SectionId } from './tokens';

/** The panel's id in JupyterLab's layout. */
export const PANEL_ID = 'jupyter-guardrails-panel';

export interface ISection {
  id: SectionId;
  label: string;
  model: PollModel;
  render: () => React.JSX.Element;
}

/** One part of the panel; its model reads the server quickly only while this can be seen. */
class SectionWidget extends PolledWidget {
  constructor(
    private readonly section: ISection,
    { notebooks, settings }: IGuardrailsSidePanelOptions,
    trans: TranslationBundle
  ) {
    super(section.model, trans);
    this.settings = settings;
    this.id = `${PANEL_ID}-${section.id}`;
    this.node.setAttribute('role', 'tabpanel');
    this.node.setAttribute('aria-labelledby', tabId(this.id));
    notebooks.changed.connect(() => this.update(), this);
    this.endKeeping = keepFocus(this.node, () => this.node.focus());
    settings.changed.connect(() => this.update(), this);
  }

  override dispose(): void {
    this.endKeeping();
    Signal.disconnectReceiver(this);
    super.dispose();
  }

  /** Give the focus to the first element that matches, once it is drawn. */
  async focusOn(selector: string): Promise<void> {
    MessageLoop.sendMessage(this, Widget.Msg.UpdateRequest);
    await this.renderPromise;
    this.node.querySelector<HTMLElement>(selector)?.focus();
  }

  protected view(): React.JSX.Element {
    return (
      <>
        {this.settings.values.introduction && <Introduction onDone={() => void this.settings.introduced()} />}
        {this.section.render()}
      </>
    );
  }

  private readonly endKeeping: () => void;
  private readonly settings: PanelSettings;
}

export interface IGuardrailsSidePanelOptions {
  sections: readonly ISection[];
  notebooks: INotebooks;
  settings: PanelSettings;
  translator: ITranslator;
}

/** The panel at the right: tabs over one part at a time, so that each has the whole height. */
export class GuardrailsSidePanel extends SidePanel {
  constructor(options: IGuardrailsSidePanelOptions) {
    const { sections, translator } = options;
    super({ translator, content: new StackedPanel() });
    const trans = translator.load(DOMAIN);
    this.id = PANEL_ID;
    this.addClass('jp-Guardrails-panel');
    this.title.icon = shieldIcon;
    this.title.caption = trans.__('Limits, approved data, production');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Guardrails'));
    this.content.node.removeAttribute('role');
    this.content.node.removeAttribute('aria-label');
    for (const section of sections) {
      const widget = new SectionWidget(section, options, trans);
      this._widgets.set(section.id, widget);
      this.content.addWidget(widget);
    }
    this.header.addWidget(this.makeTabs(sections, trans));
    this.section = 'limits';
  }

  /** The part in front. */
  get section(): SectionId {
    return this._section;
  }

  set section(section: SectionId) {
    this._section = section;
    for (const [id, widget] of this._widgets) {
      widget.setHidden(id !== section);
    }
    this._sectionChanged.emit(section);
  }

  /** Emitted when another part comes to the front. */
  get sectionChanged(): ISignal<this, SectionId> {
    return this._sectionChanged;
  }

  /** Whether the keyboard's focus is in it. */
  get hasFocus(): boolean {
    return this.node.contains(document.activeElement);
  }

  /** Move the keyboard's focus to what a selector finds in the part in front, else to its tab. */
  async focus(selector?: string): Promise<void> {
    if (selector === undefined) {
      this.node.querySelector<HTMLElement>(`#${tabId(`${PANEL_ID}-${this._section}`)}`)?.focus();
    } else {
      await this._widgets.get(this._section)?.focusOn(selector);
    }
  }

  private makeTabs(sections: readonly ISection[], trans: TranslationBundle): Widget {
    const tabs = sections.map(({ id, label }) => ({ id, label, panelId: `${PANEL_ID}-${id}` }));
    return ReactWidget.create(
      <UseSignal signal={this._sectionChanged}>
        {() => (
          <Tabs
            label={trans.__('Guardrails')}
            tabs={tabs}
            selected={this._section}
            onSelect={id => (this.section = id as SectionId)}
          />
        )}
      </UseSignal>
    );
  }

  private readonly _widgets = new Map<SectionId, SectionWidget>();
  private readonly _sectionChanged = new Signal<this, SectionId>(this);
  private _section: SectionId = 'limits';
}
