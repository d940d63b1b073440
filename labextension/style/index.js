import './base.css';
import './controls.css';
import './components.css';
import './features.css';
import './review.css';
import './admin.css';
import './contrast.css';
