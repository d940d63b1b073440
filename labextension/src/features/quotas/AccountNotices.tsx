import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Me, Opened } from '../../api/generated/openapi';
import { NextStep, Notice } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import { moment } from '../../format';

/** What an admin stopped or opened for this person: who, why, until when, and the next step. */
export function AccountNotices({ me }: { me: Me }): React.JSX.Element {
  return (
    <>
      {me.suspended && <SuspendedCard suspended={me.suspended} />}
      {(me.break_glass ?? []).map(opened => (
        <OpenedCard key={opened.id} opened={opened} person={me.person} />
      ))}
    </>
  );
}

function SuspendedCard({ suspended }: { suspended: NonNullable<Me['suspended']> }): React.JSX.Element {
  const trans = useTrans();
  const { reason, next_step: nextStep, ends_kernels_at: endsAt } = suspended;
  return (
    <Notice kind="warning" title={trans.__('Your account is suspended')}>
      <p className="jp-Guardrails-why">{reason}</p>
      <p>{trans.__('Until an admin lifts it, nothing new starts and no data is read. Your files stay.')}</p>
      {endsAt && Date.parse(endsAt) > Date.now() && (
        <p>
          <strong>{trans.__('What still runs ends at %1: save your work.', moment(endsAt))}</strong>
        </p>
      )}
      <NextStep text={nextStep} />
    </Notice>
  );
}

function OpenedCard({ opened, person }: { opened: Opened; person: string }): React.JSX.Element {
  const trans = useTrans();
  const { id, kind, name, unmasked } = opened;
  const title =
    kind === 'dataset' ? trans.__('%1 is open to you for a while', name) : trans.__('Profile %1 is open to you', name);
  return (
    <Notice kind="info" title={title}>
      <p>{byWhom(opened, person, trans)}</p>
      {unmasked && <p>{trans.__('Without the masks and row filters of the policy: handle it with care.')}</p>}
      <p className="jp-Guardrails-muted">{trans.__('This is break-glass: it is on the record, and ends by itself.')}</p>
      <NextStep
        text={trans.__(
          'when you no longer need it, `jupyter guardrails break-glass end %1` in a terminal of your own, outside of JupyterLab',
          id
        )}
      />
    </Notice>
  );
}

function byWhom({ by, until, reason }: Opened, person: string, trans: TranslationBundle): string {
  return by === person
    ? trans.__('Until %1, by yourself: %2', moment(until), reason)
    : trans.__('Until %1, by %2: %3', moment(until), by, reason);
}
