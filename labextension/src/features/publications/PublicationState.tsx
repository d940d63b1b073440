import React from 'react';

import type { Publication, PublicationSaid } from '../../api/generated/openapi';
import { Badge, Look } from '../../components/Badge';
import { useTrans } from '../../components/translation';

/** The latest word on it, where that was that something must change. */
export function sentBack({ state, decisions }: Publication): PublicationSaid | null {
  const last = decisions[decisions.length - 1];
  return state === 'private' && last?.decision === 'send_back' ? last : null;
}

/** Where a publication stands, in a word or two. */
export function PublicationState({ publication }: { publication: Publication }): React.JSX.Element {
  const trans = useTrans();
  const looks: Record<Publication['state'], Look> = {
    private: ['plain', 'locked', trans.__('only you')],
    proposed: ['ask', 'waiting', trans.__('proposed')],
    published: ['good', 'passed', trans.__('published')],
    superseded: ['plain', 'not_checked', trans.__('superseded')],
    withdrawn: ['plain', 'not_checked', trans.__('withdrawn')]
  };
  const back: Look = ['ask', 'warned', trans.__('sent back')];
  return <Badge look={sentBack(publication) ? back : looks[publication.state]} />;
}
