import React from 'react';

import type { Publication } from '../../api/generated/openapi';
import { Facts, LongText } from '../../components/text';
import { useTrans } from '../../components/translation';
import { ago, shellWord } from '../../format';
import { Published } from '../../state/published';
import { Command } from './Command';
import { Evidence } from './Evidence';
import { ProposeForm, WithdrawForm } from './forms';
import { PublicationState, sentBack } from './PublicationState';

const MOST_NAMED = 3;

type Opened = 'details' | 'propose' | 'withdraw' | null;

export interface IPublicationItemProps {
  publication: Publication;
  published: Published;
}

/** One of one's own: where it stands, whose word it waits for, and what can be done. */
export function PublicationItem({ publication, published }: IPublicationItemProps): React.JSX.Element {
  const trans = useTrans();
  const [opened, setOpened] = React.useState<Opened>(null);
  const toggle = (what: Opened): void => setOpened(opened === what ? null : what);
  const { name, version, group, classification, created_at: made } = publication;
  const head = React.useRef<HTMLButtonElement>(null);
  const close = (): void => {
    setOpened(null);
    head.current?.focus(); // the form had it, and goes
  };
  return (
    <li className="jp-Guardrails-dataset">
      <div className="jp-Guardrails-datasetHead">
        <button
          ref={head}
          type="button"
          className="jp-Guardrails-disclosure"
          aria-expanded={opened === 'details'}
          onClick={() => toggle('details')}
        >
          <bdi>{name}</bdi>
        </button>
        <PublicationState publication={publication} />
      </div>
      <p className="jp-Guardrails-description" dir="auto">
        <LongText text={publication.description} />
      </p>
      <p className="jp-Guardrails-muted">
        <Facts parts={[trans.__('version %1', version), classification, group, ago(made, Date.now(), trans)]} />
      </p>
      <Standing publication={publication} published={published} />
      <div className="jp-Guardrails-row">
        {publication.state === 'private' && published.groups.length > 0 && published.reviewed && (
          <button
            type="button"
            className="jp-mod-styled"
            aria-expanded={opened === 'propose'}
            aria-label={trans.__('Propose %1', name)}
            onClick={() => toggle('propose')}
          >
            {trans.__('Propose')}
          </button>
        )}
        {publication.state !== 'published' && (
          <button
            type="button"
            className="jp-mod-styled jp-Guardrails-quiet"
            aria-expanded={opened === 'withdraw'}
            aria-label={trans.__('Withdraw %1', name)}
            onClick={() => toggle('withdraw')}
          >
            {trans.__('Withdraw')}
          </button>
        )}
      </div>
      {opened === 'propose' && <ProposeForm publication={publication} published={published} onDone={close} />}
      {opened === 'withdraw' && <WithdrawForm publication={publication} published={published} onDone={close} />}
      {opened === 'details' && <Evidence publication={publication} />}
    </li>
  );
}

/** What happens next, and who does it. */
function Standing({ publication, published }: IPublicationItemProps): React.JSX.Element | null {
  const trans = useTrans();
  const { state, name, deciders, waits_for: waits } = publication;
  const back = sentBack(publication);
  if (state === 'proposed') {
    const about = waits.length > MOST_NAMED ? trans.__('%1 datasets', waits.length) : waits.join(', ');
    return (
      <p className="jp-Guardrails-why">
        {trans.__('Waits for %1, about %2. Nobody approves their own.', deciders.join(', '), about)}
      </p>
    );
  }
  if (back) {
    return (
      <p className="jp-Guardrails-why" data-verbatim>
        <LongText text={trans.__('%1: %2', back.reviewer, back.reason)} />
      </p>
    );
  }
  if (state === 'published') {
    return (
      <Outside
        why={trans.__('Others read it. To take it back, type in a shell outside of JupyterLab:')}
        text={`jupyter guardrails data withdraw ${name}`}
      />
    );
  }
  if (state !== 'private' || (published.reviewed && published.groups.length > 0)) {
    return null;
  }
  const [group] = published.groups;
  return group === undefined ? (
    <p className="jp-Guardrails-why">{trans.__('No rule lets you publish to a group: it stays yours.')}</p>
  ) : (
    <Outside
      why={trans.__('Nobody would review it: to publish it, type in a shell outside of JupyterLab:')}
      text={`jupyter guardrails data propose ${name} --to ${shellWord(group)}`}
    />
  );
}

/** What is not done from here, since code of a notebook could do it in its person's name, and the command that does it. */
function Outside({ why, text }: { why: string; text: string }): React.JSX.Element {
  return (
    <>
      <p className="jp-Guardrails-why">{why}</p>
      <Command label="" text={text} />
    </>
  );
}
