import { LabIcon } from '@jupyterlab/ui-components';

import shield from '../style/shield.svg';

/** The panel's icon, coloured by the theme. */
export const shieldIcon = new LabIcon({ name: 'jupyter-guardrails:shield', svgstr: shield });
