import { ILabShell, ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator, TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { Boundary } from '../components/Boundary';
import { Connection } from '../components/Connection';
import { DOMAIN } from '../components/translation';
import { DatasetsView } from '../features/datasets/DatasetsView';
import { QuotasView } from '../features/quotas/QuotasView';
import { SubmitView } from '../features/submit/SubmitView';
import { GuardrailsSidePanel, ISection } from '../panel';
import { faultOf, PanelSettings } from '../settings';
import { PollModel } from '../state/pollModel';
import { IGuardrails, IGuardrailsPanel, SectionId, SECTIONS } from '../tokens';

const PLUGIN_ID = 'jupyter-guardrails:panel';

/** The panel at the right, and its settings. */
export const panelPlugin: JupyterFrontEndPlugin<IGuardrailsPanel> = {
  id: PLUGIN_ID,
  description: 'The panel: limits, approved datasets, submit for production.',
  autoStart: true,
  requires: [IGuardrails],
  optional: [ITranslator, ILabShell, ILayoutRestorer, ISettingRegistry, IStateDB],
  provides: IGuardrailsPanel,
  activate: (
    app: JupyterFrontEnd,
    models: IGuardrails,
    translator: ITranslator | null,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    settings: ISettingRegistry | null,
    state: IStateDB | null
  ): IGuardrailsPanel => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const panel = new GuardrailsSidePanel({
      sections: makeSections(app, models, trans),
      notebooks: models.notebooks,
      settings: models.settings,
      translator: translator ?? nullTranslator
    });
    app.shell.add(panel, 'right', { rank: 700, type: 'Guardrails' });
    restorer?.add(panel, panel.id);
    const show = (section?: SectionId): void => {
      panel.section = section ?? panel.section;
      app.shell.activateById(panel.id);
      labShell?.expandRight();
    };
    const shown: IGuardrailsPanel = {
      get section() {
        return panel.section;
      },
      set section(section) {
        panel.section = section;
      },
      get isVisible() {
        return panel.isVisible;
      },
      show,
      enter: (section, selector) => {
        show(section);
        void panel.focus(selector);
      },
      leave: () => {
        const had = panel.hasFocus;
        if (had) {
          app.shell.currentWidget?.activate();
        }
        return had;
      }
    };
    void rememberSection(state, panel);
    void followSettings(settings, models, trans)
      .then(() => app.restored)
      .then(() => openAtStart(models.settings, labShell, panel.id));
    return shown;
  }
};

function makeSections(app: JupyterFrontEnd, models: IGuardrails, trans: TranslationBundle): ISection[] {
  const { quotas, datasets, submissions, notebooks } = models;
  const onNewNotebook = (): void => void app.commands.execute('notebook:create-new');
  const within = (model: PollModel, view: React.JSX.Element): React.JSX.Element => (
    <Boundary>
      <Connection model={model} me={quotas.me} />
      {view}
    </Boundary>
  );
  return [
    {
      id: 'limits',
      label: trans.__('Limits'),
      model: quotas,
      render: () => within(quotas, <QuotasView model={quotas} notebooks={notebooks} />)
    },
    {
      id: 'datasets',
      label: trans.__('Data'),
      model: datasets,
      render: () =>
        within(datasets, <DatasetsView model={datasets} notebooks={notebooks} onNewNotebook={onNewNotebook} />)
    },
    {
      id: 'submit',
      label: trans.__('Submit'),
      model: submissions,
      render: () => within(submissions, <SubmitView model={submissions} notebooks={notebooks} />)
    }
  ];
}

/** What does not fit is said once, and the defaults hold. */
async function followSettings(
  registry: ISettingRegistry | null,
  { settings, quotas, datasets }: IGuardrails,
  trans: TranslationBundle
): Promise<void> {
  settings.changed.connect(() => {
    quotas.pollSeconds = settings.values.pollSeconds;
    datasets.library = settings.values.library;
  });
  datasets.libraryChosen.connect((_, library) => void settings.remember(library));
  try {
    await (registry && settings.follow(registry, PLUGIN_ID));
  } catch (reason) {
    const message = trans.__(
      'The settings of Guardrails do not fit, so its defaults hold: %1. You mend yours in the Settings Editor, IT mends its overrides; then reload the page.',
      faultOf(reason)
    );
    Notification.error(message, { autoClose: false });
  }
}

/** Where the settings say so; what has the focus keeps it. */
function openAtStart({ values }: PanelSettings, labShell: ILabShell | null, panelId: string): void {
  if (values.open === 'always' || (values.open === 'first' && values.introduction)) {
    labShell?.activateById(panelId);
  }
}

/** The part in front survives a reload of the page. */
async function rememberSection(state: IStateDB | null, panel: GuardrailsSidePanel): Promise<void> {
  const key = `${PLUGIN_ID}:section`;
  const known = await state?.fetch(key);
  panel.section = SECTIONS.find(section => section === known) ?? panel.section;
  panel.sectionChanged.connect((_, section) => void state?.save(key, section));
}
