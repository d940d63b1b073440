import { ServerConnection } from '@jupyterlab/services';

import type { Review, ReviewContent, Reviews } from './generated/openapi';
import { endPoint, request } from './request';

/** How a page in a frame is coloured. */
export type Theme = 'light' | 'dark';

/** What the Review tab asks of the server, typed by its OpenAPI file. */
export interface IReviewsApi {
  reviews(): Promise<Reviews>;
  review(id: string): Promise<Review>;
  reviewContent(id: string): Promise<ReviewContent>;
  cleanRunUrl(id: string, theme: Theme): string;
}

/** The reviewers' part of the API of the Jupyter server that these settings lead to. */
export class ReviewsApi implements IReviewsApi {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  reviews(): Promise<Reviews> {
    return request(this.settings, ['reviews'], { background: true });
  }

  review(id: string): Promise<Review> {
    return request(this.settings, ['reviews', id], { background: true });
  }

  reviewContent(id: string): Promise<ReviewContent> {
    return request(this.settings, ['reviews', id, 'content']);
  }

  cleanRunUrl(id: string, theme: Theme): string {
    return `${endPoint(this.settings, 'reviews', id, 'clean-run')}?theme=${theme}`;
  }
}
