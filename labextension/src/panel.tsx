import { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, SidePanel, UseSignal, VDomRenderer } from '@jupyterlab/ui-components';
import { Message } from '@lumino/messaging';
import { ISignal, Signal } from '@lumino/signaling';
import { StackedPanel, Widget } from '@lumino/widgets';
import React from 'react';

import { tabId, Tabs } from './components/Tabs';
import { DOMAIN, TransProvider } from './components/translation';
import { shieldIcon } from './icons';
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
class SectionWidget extends VDomRenderer<PollModel> {
  constructor(
    private readonly section: ISection,
    notebooks: INotebooks,
    private readonly trans: TranslationBundle
  ) {
    super(section.model);
    this.id = `${PANEL_ID}-${section.id}`;
    this.addClass('jp-Guardrails-section');
    this.node.setAttribute('role', 'tabpanel');
    this.node.setAttribute('aria-labelledby', tabId(this.id));
    this.node.tabIndex = 0;
    notebooks.changed.connect(() => this.update(), this);
  }

  override dispose(): void {
    Signal.disconnectReceiver(this);
    super.dispose();
  }

  protected override render(): React.JSX.Element {
    return <TransProvider value={this.trans}>{this.section.render()}</TransProvider>;
  }

  /** Called by Lumino when the panel, or this part of it, comes into view. */
  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.section.model.visible = true;
    this.update();
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.section.model.visible = false;
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.section.model.visible = this.isVisible;
  }

  protected override onBeforeDetach(message: Message): void {
    this.section.model.visible = false;
    super.onBeforeDetach(message);
  }
}

export interface IGuardrailsSidePanelOptions {
  sections: readonly ISection[];
  notebooks: INotebooks;
  translator: ITranslator;
}

/** The panel at the right: tabs over one part at a time, so that each has the whole height. */
export class GuardrailsSidePanel extends SidePanel {
  constructor({ sections, notebooks, translator }: IGuardrailsSidePanelOptions) {
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
      const widget = new SectionWidget(section, notebooks, trans);
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
