import './base.css';
import './controls.css';
import './components.css';
import './features.css';
